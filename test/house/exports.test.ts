import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";

/**
 * The public names of the package, word for word. A name that is added is a promise, one that goes is a break: change the list
 * here and say it in CHANGELOG.md.
 */
const ofEveryEntry = {
  values: [
    "PayloadStore",
    "PayloadStoreError",
    "autoPolicy",
    "errorCodes",
    "estimateIndexMemory",
    "estimateRequests",
    "isPayloadStoreError",
    "limits",
    "tieredPolicy",
  ],
  types: [
    "AppendOptions",
    "Attributes",
    "BegunUpload",
    "BlockShape",
    "CallOptions",
    "CodecCode",
    "CodecName",
    "CodecPolicy",
    "CodecPolicyName",
    "CodecTiers",
    "CreateOptions",
    "ErasedSegment",
    "Erasure",
    "ErasureSelector",
    "ErasureState",
    "ErasureWish",
    "ErrorCode",
    "ErrorDetails",
    "ExpiresAt",
    "Fault",
    "FaultKind",
    "FindQuestion",
    "GroupKey",
    "GroupSummary",
    "Health",
    "IdempotentOptions",
    "ListedPayload",
    "Location",
    "Payload",
    "PayloadHead",
    "PayloadId",
    "PayloadInput",
    "PayloadKey",
    "PayloadStoreOptions",
    "PayloadStorePorts",
    "PutUpload",
    "ReadOptions",
    "ReadRange",
    "RequestEstimate",
    "Retention",
    "SegmentDamage",
    "Stats",
    "StorageStats",
    "StoreShape",
    "StoredPayload",
    "StreamedPayload",
    "SuccessorSegment",
    "TenantKey",
    "UploadInput",
    "VerifyEstimate",
    "VerifyOptions",
    "VerifyReport",
  ],
};

interface Names {
  readonly values: readonly string[];
  readonly types: readonly string[];
}

const publicNames: Readonly<Record<string, Names>> = {
  ".": { values: [...ofEveryEntry.values, "openMemory"], types: ofEveryEntry.types },
  "./disk": {
    values: [...ofEveryEntry.values, "DiskStore", "openDisk"],
    types: [
      ...ofEveryEntry.types,
      "DiskOptions",
      "Durability",
      "IndexGrowth",
      "Loss",
      "Machine",
      "MendedFile",
      "Rebuild",
      "Recovery",
      "RepairOptions",
      "RepairReport",
    ],
  },
  "./client": {
    values: ["PayloadClient", "PayloadStoreError", "PayloadWriter", "errorCodes", "isPayloadStoreError", "openClient"],
    types: [
      "AppendOptions",
      "AppendResult",
      "Attributes",
      "CallOptions",
      "ClientContent",
      "ClientGroup",
      "ClientHead",
      "ClientKey",
      "ClientOptions",
      "ClientPayload",
      "ClientPayloadInput",
      "ClientPlatform",
      "ClientQuestion",
      "CodecCode",
      "CodecName",
      "ErasedSegment",
      "Erasure",
      "ErasureSelector",
      "ErasureState",
      "ErasureWish",
      "ErrorCode",
      "ErrorDetails",
      "ExpiresAt",
      "Fetch",
      "FetchInit",
      "GroupSummary",
      "IdempotentOptions",
      "ListPage",
      "Location",
      "PayloadId",
      "ReadRange",
      "Stats",
      "Timers",
      "UploadOptions",
      "WriterExit",
      "WriterOptions",
    ],
  },
  "./aws": {
    values: [...ofEveryEntry.values, "AwsStore", "listPrices", "openAws"],
    types: [...ofEveryEntry.types, "AwsMachine", "AwsOptions", "Prices", "RebuildOptions", "TableRebuild"],
  },
  "./conformance": {
    values: ["codecSuite", "offsetIndexSuite", "payloadStoreSuite", "segmentStoreSuite"],
    types: [
      "CodecSuite",
      "OffsetIndexSuite",
      "OffsetIndexUnderTest",
      "PayloadStoreSuite",
      "PayloadStoreSupport",
      "SegmentStoreSuite",
      "SegmentStoreUnderTest",
      "StoreUnderTest",
      "TestFunctions",
    ],
  },
};

const root = path.resolve(import.meta.dirname, "../..");
const { exports } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
};
const entries = Object.entries(exports).flatMap(([name, target]) =>
  // package.json itself is an export without names.
  typeof target === "string" ? [] : [{ name, source: sourceOf(target.default) }],
);

describe("the published entries", () => {
  test("are these", () => {
    expect(entries.map(({ name }) => name)).toEqual(Object.keys(publicNames));
  });

  test.each(entries)("$name exports these values", async ({ name, source }) => {
    const names = Object.keys((await import(pathToFileURL(source).href)) as object);

    expect(names.toSorted()).toEqual(publicNames[name]?.values.toSorted());
  });

  test.each(entries)("$name exports these types", ({ name, source }) => {
    expect(typesOf(source).toSorted()).toEqual(publicNames[name]?.types.toSorted());
  });
});

function sourceOf(built: string): string {
  return path.join(root, built.replace(/^\.\/dist\//, "").replace(/\.js$/, ".ts"));
}

/** Types leave nothing behind that could be imported, so the statements are read. Classes are listed among the values. */
function typesOf(file: string): readonly string[] {
  const text = readFileSync(file, "utf8");
  const declared = [...text.matchAll(/^export (?:interface|type) (\w+)\b(?! *[,}])/gm)].map(([, name = ""]) => name);
  const listed = [...text.matchAll(/^export (type )?\{([^}]*)\}/gm)].flatMap(([, all, list = ""]) =>
    list
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "" && (all !== undefined || item.startsWith("type ")))
      .map((item) => item.replace(/^type /, "").replace(/^.* as /, "")),
  );
  const passedOn = [...text.matchAll(/^export \* from "(\.[^"]+)"/gm)].flatMap(([, specifier = ""]) =>
    typesOf(path.join(path.dirname(file), specifier)),
  );
  return [...declared, ...listed, ...passedOn];
}
