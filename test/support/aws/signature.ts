import { createHash, createHmac, createSecretKey, type KeyObject } from "node:crypto";

/** A request as far as Signature Version 4 looks at it. */
export interface SignableRequest {
  readonly method: string;
  /** Path and query as they stand in the request line. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Only hashed if the request does not say the hash of its body. */
  readonly body: Uint8Array;
}

export interface SignatureRules {
  readonly service: "s3" | "dynamodb";
  readonly region: string;
  /** Access key id → secret. */
  readonly secrets: ReadonlyMap<string, string>;
  /** The server's clock: milliseconds since 1970. */
  readonly nowMs: number;
  /** How far a signature's date may lie from the server's clock. */
  readonly skewMsMax: number;
}

/** Why a signature is refused, and what there is to say about it. */
export interface SignatureRefusal {
  readonly reason:
    | "missing"
    | "malformed"
    | "unknown-key"
    | "wrong-scope"
    | "skewed"
    | "not-yet-valid"
    | "expired"
    | "headers-not-signed"
    | "mismatch";
  readonly text: string;
}

const algorithm = "AWS4-HMAC-SHA256";
const weekSeconds = 604_800;

/**
 * Checks Signature Version 4, in the header or in a presigned URL: algorithm, scope, date, expiry, that the host and all
 * headers that steer the service are signed, and the signature.
 *
 * @returns why it is refused, or `undefined` if it holds.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 */
export function refuseSignature(request: SignableRequest, rules: SignatureRules): SignatureRefusal | undefined {
  const { path, search } = splitTarget(request.target);
  const query = new URLSearchParams(search);
  const stated = query.has("X-Amz-Algorithm") ? statedInQuery(query) : statedInHeader(request.headers);
  if (stated === undefined) return { reason: "missing", text: "the request is not signed" };
  if ("reason" in stated) return stated;

  const [accessKeyId = "", day = "", region, service, end] = stated.credential.split("/");
  const scope = `${day}/${rules.region}/${rules.service}/aws4_request`;
  if (end !== "aws4_request" || !stated.date.startsWith(day)) {
    return { reason: "malformed", text: `the credential ${stated.credential} does not fit the date ${stated.date}` };
  }
  const secret = rules.secrets.get(accessKeyId);
  if (secret === undefined) return { reason: "unknown-key", text: accessKeyId };
  if (region !== rules.region || service !== rules.service) {
    return { reason: "wrong-scope", text: `${region}/${service} in place of ${rules.region}/${rules.service}` };
  }

  const late = refuseDate(stated, rules);
  if (late !== undefined) return late;

  const signed = new Set(stated.signedHeaders);
  const unsigned = [...request.headers.keys()].filter((name) => mustBeSigned(name) && !signed.has(name));
  if (unsigned.length > 0) return { reason: "headers-not-signed", text: unsigned.join(", ") };

  const canonical = [
    request.method,
    path.split("/").map(reencoded).join("/"),
    canonicalQuery(search),
    ...stated.signedHeaders.map((name) => `${name}:${(request.headers.get(name) ?? "").trim().replace(/ +/g, " ")}`),
    "",
    stated.signedHeaders.join(";"),
    stated.payloadHash ?? sha256(request.body),
  ].join("\n");
  const signature = createHmac("sha256", signingKey(secret, scope))
    .update([algorithm, stated.date, scope, sha256(canonical)].join("\n"))
    .digest("hex");
  return signature === stated.signature ? undefined : { reason: "mismatch", text: canonical };
}

/** A request line's target in its two parts. Not by `URL`, which would resolve the `..` of a key. */
export function splitTarget(target: string): { readonly path: string; readonly search: string } {
  const [path = "", ...search] = target.split("?");
  return { path, search: search.join("?") };
}

/** What a request says about its own signature. */
interface Stated {
  readonly credential: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** `20260131T235959Z` */
  readonly date: string;
  /** Of a presigned URL. */
  readonly expiresSeconds?: number;
  readonly payloadHash: string | undefined;
}

function statedInHeader(headers: ReadonlyMap<string, string>): Stated | SignatureRefusal | undefined {
  const authorization = headers.get("authorization");
  if (authorization === undefined) return undefined;
  const fields = /^AWS4-HMAC-SHA256 Credential=([^, ]+), *SignedHeaders=([^, ]+), *Signature=([0-9a-f]+)$/.exec(
    authorization,
  );
  const date = headers.get("x-amz-date");
  if (fields === null || date === undefined) {
    return { reason: "malformed", text: "the Authorization header or x-amz-date is not as it must be" };
  }
  const [, credential = "", signedHeaders = "", signature = ""] = fields;
  return {
    credential,
    signedHeaders: signedHeaders.split(";"),
    signature,
    date,
    payloadHash: headers.get("x-amz-content-sha256"),
  };
}

function statedInQuery(query: URLSearchParams): Stated | SignatureRefusal {
  const expiresSeconds = Number(query.get("X-Amz-Expires") ?? Number.NaN);
  const date = query.get("X-Amz-Date");
  const credential = query.get("X-Amz-Credential");
  const signedHeaders = query.get("X-Amz-SignedHeaders");
  const signature = query.get("X-Amz-Signature");
  const whole = date !== null && credential !== null && signedHeaders !== null && signature !== null;
  if (!whole || query.get("X-Amz-Algorithm") !== algorithm) {
    return { reason: "malformed", text: "a presigned URL needs all of its X-Amz- parameters" };
  }
  if (!Number.isInteger(expiresSeconds) || expiresSeconds < 1 || expiresSeconds > weekSeconds) {
    return { reason: "malformed", text: `X-Amz-Expires must be 1 to ${weekSeconds} seconds` };
  }
  return {
    credential,
    signedHeaders: signedHeaders.split(";"),
    signature,
    date,
    expiresSeconds,
    payloadHash: query.get("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD",
  };
}

function refuseDate(stated: Stated, rules: SignatureRules): SignatureRefusal | undefined {
  const dateMs = Date.parse(stated.date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (Number.isNaN(dateMs)) return { reason: "malformed", text: `the date ${stated.date} cannot be read` };
  const text = `${stated.date}, and it is ${new Date(rules.nowMs).toISOString()}`;

  if (stated.expiresSeconds === undefined) {
    return Math.abs(rules.nowMs - dateMs) > rules.skewMsMax ? { reason: "skewed", text } : undefined;
  }
  if (dateMs - rules.nowMs > rules.skewMsMax) return { reason: "not-yet-valid", text };
  return rules.nowMs > dateMs + stated.expiresSeconds * 1_000 ? { reason: "expired", text } : undefined;
}

/** The hash of the body is bound by the signature as it is, so that it need not be among the signed headers. */
function mustBeSigned(name: string): boolean {
  return name === "host" || (name.startsWith("x-amz-") && name !== "x-amz-content-sha256");
}

function canonicalQuery(search: string): string {
  return search
    .split("&")
    .filter((part) => part !== "" && !part.startsWith("X-Amz-Signature="))
    .map((part) => {
      const [name = "", ...value] = part.replaceAll("+", "%20").split("=");
      return { name: reencoded(name), value: reencoded(value.join("=")) };
    })
    .toSorted((left, right) => byBytes(left.name, right.name) || byBytes(left.value, right.value))
    .map(({ name, value }) => `${name}=${value}`)
    .join("&");
}

/** Decoded and encoded again the one way that is signed: everything but letters, digits and `-._~`. */
function reencoded(text: string): string {
  return encodeURIComponent(decodeURIComponent(text)).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function byBytes(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

/** Good for a day; to be made for each request it takes as long as the rest. */
function signingKey(secret: string, scope: string): KeyObject {
  const name = `${secret} ${scope}`;
  const known = signingKeys.get(name);
  if (known) return known;

  const bytes = scope
    .split("/")
    .reduce<Uint8Array>((key, part) => createHmac("sha256", key).update(part).digest(), Buffer.from(`AWS4${secret}`));
  const made = createSecretKey(bytes);
  signingKeys.set(name, made);
  return made;
}

const signingKeys = new Map<string, KeyObject>();

function sha256(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
