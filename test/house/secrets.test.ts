import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { newToken } from "../../core/access/token.ts";

/**
 * A key that is committed once is public for ever. Here all that is, or is about to be, committed is searched for what
 * keys look like. The examples that show that the search works are put together, or this file would find itself.
 */
const root = path.resolve(import.meta.dirname, "../..");

/** What keys look like, each by the form that its issuer gives it; the last one by the name that it is given to. */
const forms: Readonly<Record<string, RegExp>> = {
  "a key id of AWS": /\b(?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16}\b/,
  "a secret key of AWS": /\b(?:aws_?)?secret_?(?:access_?)?key\b["'\s:=]{1,8}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])/i,
  "a private key": /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/,
  "a token of GitHub": /\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60})/,
  "a token of npm": /\bnpm_[A-Za-z0-9]{36}\b|\b_authToken\s*=\s*[\w-]{20}/,
  "a token of Slack": /\bxox[abprs]-[A-Za-z0-9-]{10}/,
  "a key of an API that begins with sk": /\b[sr]k[-_](?:live_|ant-|proj-)?[A-Za-z0-9_-]{24}/,
  "a key of Google": /\bAIza[\w-]{35}/,
  "a JSON Web Token": /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10}/,
  "a token of a Paylode store": /\bpl_[a-z0-9][a-z0-9-]{0,62}_[0-9a-f]{12}_[\w-]{43}/,
  "a password in an address": /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@"'`$<{]+:[^\s/@"'`$<{]{6,}@[^\s/]/,
  "a long value under the name of a secret":
    /\b\w*(?:password|passwd|secret|api_?key|access_?token)["']?\s*[:=]\s*["'`](?=[^"'`]*\d)(?=[^"'`]*[A-Za-z])[\w+/=.-]{24,}["'`]/i,
};

/** What only looks so: `file:line: what`. */
const harmless: readonly string[] = [
  // Ids of the golden store are hashed with it. It opens nothing, and the store's bytes are here, too.
  "test/golden/format-0/store.json:3: a long value under the name of a secret",
];

function secretsIn(text: string): readonly string[] {
  return Object.keys(forms).filter((what) => forms[what]?.test(text));
}

describe("what is committed", () => {
  const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root })
    .toString()
    .split("\0")
    .filter((file) => file !== "" && existsSync(path.join(root, file)));

  test("is there, so that the test below looks at something", () => {
    expect(files).toContain("test/house/secrets.test.ts");
    expect(files.length).toBeGreaterThan(100);
  });

  test("holds nothing that looks like a key", () => {
    const found = files.flatMap((file) =>
      readFileSync(path.join(root, file), "latin1")
        .split("\n")
        .flatMap((line, index) => secretsIn(line).map((what) => `${file}:${index + 1}: ${what}`)),
    );

    expect(found.filter((each) => !harmless.includes(each))).toEqual([]);
    expect(harmless.filter((each) => !found.includes(each))).toEqual([]);
  });

  test("leaves out the files where settings and keys of a machine lie", () => {
    const ignored = [".env", ".env.production", ".sst/outputs.json", "data/keys.json"];
    const answer = execFileSync("git", ["check-ignore", ...ignored], { cwd: root, encoding: "utf8" });

    expect(answer.trim().split("\n")).toEqual(ignored);
  });
});

describe("the search", () => {
  const random = { bytes: (length: number) => Uint8Array.from({ length }, (_, i) => (i * 37 + 11) & 0xff) };
  const letters = (count: number): string => "aB3dE5gH7jK9mN1pQ2sT4vW6".repeat(3).slice(0, count);

  test.each<readonly [string, string]>([
    ["a key id of AWS", `accessKeyId: "${"AK" + "IA"}IOSFODNN7EXAMPLE"`],
    ["a secret key of AWS", `aws_secret_access_key = ${letters(40)}`],
    ["a secret key of AWS", `"SecretAccessKey": "${letters(39)}/"`],
    ["a private key", `${"-----BEGIN"} RSA PRIVATE KEY-----`],
    ["a private key", `${"-----BEGIN"} PRIVATE KEY-----`],
    ["a token of GitHub", `${"gh" + "p_"}${letters(36)}`],
    ["a token of npm", `//packages.example/:${"_auth" + "Token"}=${letters(36)}`],
    ["a token of Slack", `${"xo" + "xb"}-${letters(24)}`],
    ["a key of an API that begins with sk", `${"sk" + "-ant"}-${letters(40)}`],
    ["a key of an API that begins with sk", `${"sk" + "_live_"}${letters(24)}`],
    ["a key of Google", `${"AI" + "za"}${letters(35)}`],
    ["a JSON Web Token", `Bearer ${"ey" + "J"}${letters(20)}.${"ey" + "J"}${letters(30)}.${letters(43)}`],
    ["a token of a Paylode store", newToken({ tenant: "acme-2", id: "0123456789ab" }, random)],
    ["a password in an address", `postgres://${"ada:lovelace1815"}@db.example/paylode`],
    ["a long value under the name of a secret", `const clientSecret = "${letters(32)}";`],
    ["a long value under the name of a secret", `"api_key": "${letters(24)}"`],
  ])("finds %s", (what, line) => {
    expect(secretsIn(line)).toContain(what);
  });

  test.each([
    `"integrity": "sha512-${letters(72)}=="`,
    "secret: random.bytes(secretBytes)",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html",
    "curl http://localhost:8787/v1/default/groups/run-1/payloads/a@b",
    `SecretAccessKey: "test"`,
    "const secretBytes = 16;",
  ])("passes over %s", (line) => {
    expect(secretsIn(line)).toEqual([]);
  });
});
