import assert from "node:assert/strict";
import type { PayloadStore, PayloadStoreOptions } from "../../core/payload-store.ts";
import { batchCases } from "./payload-store/batches.ts";
import { closingCases } from "./payload-store/closing.ts";
import { concurrencyCases } from "./payload-store/concurrency.ts";
import { deleteCases } from "./payload-store/deletes.ts";
import { expiryCases } from "./payload-store/expiry.ts";
import { findCases } from "./payload-store/finds.ts";
import { idempotencyCases } from "./payload-store/idempotency.ts";
import { isolationCases } from "./payload-store/isolation.ts";
import { listCases } from "./payload-store/lists.ts";
import { locationCases } from "./payload-store/locations.ts";
import { nameCases } from "./payload-store/names.ts";
import { overwriteCases } from "./payload-store/overwrites.ts";
import { readerCases } from "./payload-store/readers.ts";
import { refusalCases } from "./payload-store/refusals.ts";
import { reopenCases } from "./payload-store/reopening.ts";
import { roundTripCases } from "./payload-store/round-trips.ts";
import { statsCases } from "./payload-store/stats.ts";
import { testFunctions, type TestFunctions } from "./test-functions.ts";

/** A store that a test has for itself. */
export interface StoreUnderTest {
  /** Open and empty. */
  readonly store: PayloadStore;
  /** Closes the store that is open and opens the same one again. */
  readonly reopen?: () => Promise<PayloadStore>;
  /** Opens the same store read-only, beside the one that is open; `end` closes it too. */
  readonly openReader?: () => Promise<PayloadStore>;
  /** How often the store has waited for its medium so far: syncs of a disk, PUTs of a bucket. */
  readonly syncs?: () => number;
  /** Closes whatever is still open and removes what it left. */
  readonly end: () => Promise<void>;
}

/** What an adapter can do. Asserted, not trusted. */
export interface PayloadStoreSupport {
  /** What was stored is there after the process that stored it ended. */
  readonly reopen: boolean;
  /** Others may read while one writes. */
  readonly readers: boolean;
  /** {@link StoreUnderTest.syncs} counts. */
  readonly syncs: boolean;
  /** Payloads are compacted between any two calls, so they lie elsewhere the next time, and take less. */
  readonly moves?: boolean | undefined;
}

export interface PayloadStoreSuite {
  readonly name: string;
  readonly open: (options?: PayloadStoreOptions) => Promise<StoreUnderTest>;
  readonly supports: PayloadStoreSupport;
  /** Payloads are found by their attributes `user` and `model`. They are, unless this says otherwise. */
  readonly finds?: boolean | undefined;
  /** Share of the large counts that is done, for stores behind slow servers; 1 by default. */
  readonly scale?: number | undefined;
  /** Vitest unless given. */
  readonly test?: TestFunctions | undefined;
}

/** What the files beside this one write their cases with. */
export interface PayloadStoreCases {
  readonly supports: PayloadStoreSupport;
  /** Whether attributes are indexed: `user` and `model` at least. */
  readonly finds: boolean;
  /** A large count, as large as this suite does it. */
  readonly scaled: (count: number) => number;
  readonly describe: TestFunctions["describe"];
  /** A test with a store of its own. */
  readonly given: (
    sentence: string,
    body: (opened: StoreUnderTest) => Promise<void>,
    options?: PayloadStoreOptions,
  ) => void;
}

/** What every store promises, whatever it is made of. `await` it: it may have to load the runner first. */
export async function payloadStoreSuite({
  name,
  open,
  supports,
  finds = true,
  scale = 1,
  test: given,
}: PayloadStoreSuite): Promise<void> {
  const { describe, test } = await testFunctions(given);
  const cases: PayloadStoreCases = {
    supports,
    finds,
    scaled: (count) => Math.ceil(count * scale),
    describe,
    given: (sentence, body, options) => {
      test(sentence, async () => {
        const opened = await open(options);
        try {
          await body(opened);
        } finally {
          await opened.end();
        }
      });
    },
  };

  describe(`${name} as a payload store`, () => {
    cases.given("supports what it says, and no more", async ({ reopen, openReader, syncs }) => {
      const found = { reopen: Boolean(reopen), readers: Boolean(openReader), syncs: Boolean(syncs) };

      const { moves: _, ...asserted } = supports;
      assert.deepEqual(found, asserted);
    });
    roundTripCases(cases);
    if (!supports.moves) locationCases(cases);
    nameCases(cases);
    overwriteCases(cases);
    deleteCases(cases);
    batchCases(cases);
    idempotencyCases(cases);
    expiryCases(cases);
    listCases(cases);
    findCases(cases);
    if (!supports.moves) statsCases(cases);
    refusalCases(cases);
    isolationCases(cases);
    concurrencyCases(cases);
    closingCases(cases);
    if (supports.reopen) reopenCases(cases);
    if (supports.readers) readerCases(cases);
  });
}
