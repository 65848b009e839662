import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { AwsStore } from "../../../core/entries/aws.ts";
import type { GroupKey } from "../../../core/key.ts";
import { isPayloadStoreError } from "../../../core/errors.ts";
import { noise, prose } from "../../conformance/sample-bytes.ts";
import { clears, type Commit, creates, deletes, PossibleGroups, puts } from "./possible-groups.ts";

const tenant = "acme";

/** A group of short payloads that rows keep, and one whose payloads lie in segments. */
const short = { tenant, group: "short" };
const long = { tenant, group: "long" };
export const workGroups = [short, long] as const;

/** Short enough for a row. */
const small = (seed: number) => prose(300, seed);
/** Too long for a row, and the same again and again. */
const large = (seed: number) => noise(9000, seed);

export function textOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 8);
}

/** One call of a store. What it did to its group, if it did anything, or what it saw. */
export interface Step {
  readonly group: typeof short | typeof long;
  readonly call: (store: AwsStore) => Promise<unknown>;
  /** What an answer means. */
  readonly done: (answer: unknown, group: PossibleGroups) => void;
  /** What may happen when there is no answer. */
  readonly commit?: Commit;
}

/** What the table indexes that the workload runs on. */
export const workAttributes = ["workload"] as const;

/** Every payload is found by it: one that is there and not found has lost what it is found by. */
export const findable = { attributes: { workload: "faults" } } as const;

function write(group: Step["group"], commit: Commit, call: Step["call"]): Step {
  return { group, call, commit, done: (_, possible) => possible.acknowledged(commit) };
}

/** `true` when it changed something, `false` when there was nothing to change. */
function change(group: Step["group"], commit: Commit, call: Step["call"]): Step {
  return {
    group,
    call,
    commit,
    done: (answer, possible) =>
      answer ? possible.acknowledged(commit) : possible.observed((state) => commit(state) === undefined),
  };
}

const append = (group: Step["group"], id: string, bytes: Uint8Array): Step =>
  write(group, puts({ [id]: textOf(bytes) }), (store) => store.append({ ...group, id }, bytes, findable));

const appendMany = (group: Step["group"], ids: readonly string[], bytesOf: (i: number) => Uint8Array): Step =>
  write(group, puts(Object.fromEntries(ids.map((id, i) => [id, textOf(bytesOf(i))]))), (store) =>
    store.appendMany(
      group,
      ids.map((id, i) => ({ id, bytes: bytesOf(i), ...findable })),
    ),
  );

const create = (group: Step["group"], id: string, bytes: Uint8Array): Step =>
  change(group, creates(id, textOf(bytes)), (store) =>
    store.append({ ...group, id }, bytes, { ifAbsent: true, ...findable }).then(
      () => true,
      (error: unknown) => {
        if (isPayloadStoreError(error, "EXISTS")) return false;
        throw error;
      },
    ),
  );

const remove = (group: Step["group"], id: string): Step =>
  change(group, deletes(id), (store) => store.delete({ ...group, id }));

const read = (group: Step["group"], id: string): Step => ({
  group,
  call: (store) => store.get({ ...group, id }),
  done: (answer, possible) =>
    possible.observed((state) => state.get(id) === (answer ? textOf(answer as Uint8Array) : undefined)),
});

const readAll = (group: Step["group"]): Step => ({
  group,
  call: (store) => stateOf(store, group),
  done: (answer, possible) => possible.expect(answer as ReadonlyMap<string, string>),
});

/** Few calls that read and write in each way. */
export const shortWorkload: readonly Step[] = [
  append(short, "a", small(1)),
  appendMany(long, ["a", "b"], (i) => large(i)),
  append(short, "a", small(2)),
  create(short, "b", small(3)),
  read(long, "b"),
  remove(short, "a"),
];

/** Each kind of call in both groups, each of which meets what those before it left. */
export const longWorkload: readonly Step[] = [
  ...shortWorkload,
  append(long, "b", large(10)),
  create(long, "a", large(9)),
  remove(long, "a"),
  append(short, "a", small(4)),
  readAll(long),
  appendMany(short, ["c", "d"], (i) => small(20 + i)),
  change(long, clears(), async (store) => (await store.deleteGroup(long)) > 0),
  append(long, "d", large(30)),
  readAll(short),
];

export async function stateOf(store: AwsStore, group: GroupKey): Promise<ReadonlyMap<string, string>> {
  const state = new Map<string, string>();
  for await (const { id, body } of store.contents(group)) state.set(id, textOf(body));
  return state;
}

export function newPossible(): Map<string, PossibleGroups> {
  return new Map(workGroups.map(({ group }) => [group, new PossibleGroups()]));
}

/** Does a step, and notes what it means. @returns the error that it failed with, always one of the store's own */
export async function doStep(step: Step, store: AwsStore, possible: Map<string, PossibleGroups>): Promise<unknown> {
  const group = possible.get(step.group.group)!;
  try {
    step.done(await step.call(store), group);
    return undefined;
  } catch (error) {
    if (!isPayloadStoreError(error)) throw error;
    if (step.commit) group.unknown(step.commit);
    return error;
  }
}

/** Asserts that a store shows each group whole, in a state that it may be in, and nothing damaged. */
export async function expectPossible(store: AwsStore, possible: Map<string, PossibleGroups>): Promise<void> {
  const ids = ["a", "b", "c", "d", "e"];
  for (const group of workGroups) {
    const state = await stateOf(store, group);
    possible.get(group.group)!.expect(state);
    const found = await store.getMany(group, ids);
    assert.deepEqual(
      found.map((bytes) => bytes && textOf(bytes)),
      ids.map((id) => state.get(id)),
    );
    for (const id of ["a", "b"]) assert.equal(await store.has({ ...group, id }), state.has(id));
    const named: string[] = [];
    for await (const head of store.find({ tenant, where: findable.attributes }))
      if (head.group === group.group) named.push(head.id);
    assert.deepEqual(named, [...state.keys()]);
  }
  assert.deepEqual((await store.verify()).faults, []);
}
