import type { RecoverableIndex } from "../../index/recoverable-index.ts";
import { PayloadReader } from "../../payload-reader.ts";
import type { StoreInside } from "../../payload-store.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Codecs } from "../../ports/codec.ts";
import type { Digest } from "../../ports/digest.ts";
import type { PageRecord } from "../../ports/offset-index.ts";
import type { FramePlace } from "../../ports/segment-store.ts";
import type { UploadReader } from "../../ports/upload-store.ts";
import { isAccepted, type Loss } from "../../repair/loss.ts";
import { mendSegment } from "../../repair/mend.ts";
import { type LostOf, pinGroup, readableHead } from "../../repair/pin-group.ts";
import type { MendedFile, RepairOptions, RepairReport } from "../../repair/report.ts";
import { type FoundLoss, type SurveyedSegment, surveySegment } from "../../repair/survey.ts";
import { FrameReader } from "../../segment/read-frame.ts";
import { UploadBlocks } from "../../upload-blocks.ts";
import type { FaultKind, VerifyOptions, VerifyReport } from "../../verify/report.ts";
import type { DiskSegmentStore } from "./disk-segment-store.ts";
import type { FileSystem } from "./file-system.ts";
import type { Layout } from "./layout.ts";
import type { LossesFile } from "./losses-file.ts";
import { copyToQuarantine, replaceSegment } from "./set-segment-aside.ts";

export interface RepairPorts {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly segments: DiskSegmentStore;
  readonly index: RecoverableIndex;
  readonly codecs: Codecs;
  readonly digest: Digest;
  readonly clock: Clock;
  readonly uploads: UploadReader;
  readonly losses: LossesFile;
  /** Makes the index anew. */
  readonly rebuild: () => Promise<unknown>;
}

/** What a repair uses of the store it repairs. */
export interface Repairing {
  readonly inside: StoreInside;
  readonly verify: (options: VerifyOptions) => Promise<VerifyReport>;
  readonly withoutWrites: <T>(work: () => Promise<T>) => Promise<T>;
}

/** Faults of the index alone, where the segment that they name is whole. */
const ofIndex: ReadonlySet<FaultKind> = new Set(["dangling", "unindexed", "unreachable"]);

interface Suspect {
  readonly tenant: string;
  readonly segment: string;
}

/** A suspect as it was found; without a survey, its file is gone. */
interface Examined extends Suspect {
  readonly survey?: SurveyedSegment | undefined;
  readonly losses: readonly FoundLoss[];
}

/**
 * Sets damage aside, so that the rest is served and stays served: each damaged segment is copied to the quarantine, what is lost
 * is written down, and a segment of the same name takes its place, with the same frames at the same offsets but for those
 * that are lost. Each step leaves a store in which nothing lost is called absent, and the whole may be done again at any time.
 *
 * Cost: reads everything; writes the damaged segments twice.
 */
export async function repairStore(ports: RepairPorts, store: Repairing, options: RepairOptions): Promise<RepairReport> {
  const before = await store.verify({ onProgress: options.onProgress, signal: options.signal });
  const isDry = options.dryRun === true;
  const done = await store.withoutWrites(async () => {
    const examined = await examine(ports, suspectsOf(ports, before), isDry);
    const { known, restored } = compare(ports, examined);
    const isWhole = ({ tenant, segment }: Suspect) =>
      !examined.some(
        (one) => one.tenant === tenant && one.segment === segment && (!one.survey || one.survey.unfit !== undefined),
      );
    const isIndexAtFault =
      restored.some(({ frames }) => frames !== 0) ||
      examined.some(({ survey }) => (survey?.unindexed ?? 0) > 0) ||
      before.faults.some((fault) => ofIndex.has(fault.kind) && isWhole(fault));
    const mended = await mend(ports, examined, known, isDry);
    if (isIndexAtFault && !isDry) await ports.rebuild();
    return { mended, restored, rebuilt: isIndexAtFault };
  });
  const open = () => [...ports.losses.all().filter(({ acceptedMs }) => acceptedMs === undefined), ...gapsOf(ports)];
  const nothing = { accepted: [], deleted: [] };
  const accepting = options.acceptLoss === true && !isDry ? await acceptLosses(ports, store, open()) : nothing;
  const rebuilt = done.rebuilt || accepting.accepted.length > 0;
  const lost = isDry ? [...open(), ...done.mended.flatMap(({ losses }) => losses)] : open();
  return { before, ...done, mended: done.mended.map(fileOf), lost, ...accepting, rebuilt };
}

/**
 * Pages that are known to be missing only since later ones follow. They are written down when they are accepted: until then each
 * index finds them by itself, and does not where their segment was restored.
 */
function gapsOf({ index, losses, clock }: RepairPorts): Loss[] {
  const notedMs = Math.floor(clock.nowMs());
  const gaps = index.damage().filter(({ frames, start, end }) => frames !== 0 && start === end);
  return gaps.filter((gap) => !isAccepted(losses.accepted(), gap)).map((gap) => ({ ...gap, notedMs }));
}

function suspectsOf({ losses }: RepairPorts, before: VerifyReport): Suspect[] {
  const named = [
    ...before.faults.filter(({ kind }) => kind !== "orphan"),
    ...losses.all().filter(({ acceptedMs }) => acceptedMs === undefined),
  ];
  const suspects = new Map(named.map(({ tenant, segment }) => [`${tenant}/${segment}`, { tenant, segment }]));
  return [...suspects.values()];
}

async function examine(ports: RepairPorts, suspects: readonly Suspect[], isDry: boolean): Promise<Examined[]> {
  const { segments, index, digest } = ports;
  const indexed = new Map<string, PageRecord[]>(suspects.map(({ tenant, segment }) => [`${tenant}/${segment}`, []]));
  for await (const record of index.all()) indexed.get(`${record.tenant}/${record.place.segment}`)?.push(record);
  const files = new Map(
    (await segments.segments()).map(({ tenant, segment, bytes }) => [`${tenant}/${segment}`, bytes]),
  );
  const examined: Examined[] = [];
  for (const { tenant, segment } of suspects) {
    const path = `${tenant}/${segment}`;
    const pages = indexed.get(path) ?? [];
    const state = index.segmentState(tenant, segment);
    if (state?.removed || state?.supersededMs !== undefined) continue;
    if (!files.has(path)) {
      const reason = "the segment is gone";
      const isKnown = pages.length > 0;
      const loss = { tenant, segment, start: 0, end: state?.bytes ?? 0, reason, frames: pages.length };
      if (isKnown) examined.push({ tenant, segment, losses: [loss] });
      continue;
    }
    // A damaged segment does not grow on.
    if (!isDry && segments.growing(tenant) === segment) await segments.seal(tenant);
    const size = files.get(path) ?? 0;
    const source = {
      tenant,
      segment,
      size: Math.max(size, ports.fs.stat(ports.layout.segment(tenant, segment))?.bytes ?? 0),
      read: (offset: number, bytes: number) =>
        segments.read(tenant, segment, offset, Math.min(bytes, Math.max(0, source.size - offset))),
    };
    const placed = pages.map(({ sequence, place }) => ({ ...place, sequence }));
    const survey = await surveySegment(source, placed, {
      digest,
      readerOf: (owner) => readerOf(ports, owner),
      known: state,
      placeOf: (owner, group, sequence) => index.placeOf(owner, group, sequence),
    });
    examined.push({ tenant, segment, survey, losses: survey.losses });
  }
  return examined;
}

/** What is new of what was found, and what was lost before and is whole again. */
function compare({ losses }: RepairPorts, examined: readonly Examined[]): { known: Loss[]; restored: Loss[] } {
  const known: Loss[] = [];
  const restored: Loss[] = [];
  for (const loss of losses.all()) {
    const survey = examined.find(({ tenant, segment }) => tenant === loss.tenant && segment === loss.segment)?.survey;
    const lies = survey?.kept.some(({ offset }) => offset >= loss.start && offset < loss.end) === true;
    const isDamaged = survey?.losses.some(
      ({ start, end, frames }) => start < loss.end && end > loss.start && (loss.frames !== 0 || frames === 0),
    );
    const isWhole = loss.acceptedMs === undefined && lies && isDamaged !== true;
    (isWhole ? restored : known).push(loss);
  }
  return { known, restored };
}

type Mended = MendedFile & { readonly losses: readonly Loss[] };

async function mend(
  ports: RepairPorts,
  examined: readonly Examined[],
  known: readonly Loss[],
  isDry: boolean,
): Promise<Mended[]> {
  const { segments, index, losses, digest, clock } = ports;
  const mended: Mended[] = [];
  let all = known;
  const notedMs = Math.floor(clock.nowMs());
  for (const { tenant, segment, survey, losses: found } of examined) {
    const fresh: Loss[] = found.filter((loss) => !isNoted(all, loss)).map((loss) => ({ ...loss, notedMs }));
    const reason = survey ? survey.unfit : "the segment is gone";
    const isMendable = survey !== undefined && reason !== undefined;
    if (isDry) {
      all = [...all, ...fresh];
      if (reason !== undefined || fresh.length > 0)
        mended.push({
          tenant,
          segment,
          reason: reason ?? fresh[0]!.reason,
          frames: survey?.kept.length ?? 0,
          losses: fresh,
        });
      continue;
    }
    const quarantined = isMendable ? await copyToQuarantine(ports, tenant, segment, fresh) : undefined;
    // What is lost is written down before the bytes go that show it.
    if (fresh.length > 0) {
      all = [...all, ...fresh.map((loss) => (quarantined === undefined ? loss : { ...loss, quarantined }))];
      await losses.save(all);
    }
    if (fresh.length > 0 || isMendable) {
      const at = {
        tenant,
        segment,
        reason: reason ?? fresh[0]!.reason,
        frames: survey?.kept.length ?? 0,
        losses: fresh,
      };
      mended.push(quarantined === undefined ? at : { ...at, quarantined });
    }
    if (!isMendable) continue;
    const whole = mendSegment(survey.scan, survey.kept, digest);
    await replaceSegment(ports, tenant, segment, whole);
    segments.forget(tenant, segment);
    if (whole) index.segments.cover(tenant, segment, { bytes: whole.bytes, frames: survey.kept.length, sealed: true });
  }
  if (!isDry && all.length !== losses.all().length) await losses.save(all);
  return mended;
}

function isNoted(losses: readonly Loss[], found: FoundLoss): boolean {
  return losses.some(
    ({ tenant, segment, start, end, ids }) =>
      tenant === found.tenant &&
      segment === found.segment &&
      start <= found.start &&
      end >= found.end &&
      (found.ids === undefined || found.ids.every((id) => ids === undefined || ids.includes(id))),
  );
}

/** Makes what is lost absent, for good, without bringing back what the lost pages had overwritten or deleted. */
async function acceptLosses(
  ports: RepairPorts,
  { inside, withoutWrites }: Repairing,
  lost: readonly Loss[],
): Promise<Pick<RepairReport, "accepted" | "deleted">> {
  if (lost.length === 0) return { accepted: [], deleted: [] };
  const { index, losses, clock } = ports;
  const deleted: { tenant: string; group: string; ids: string[] }[] = [];
  for (const tenant of new Set(lost.map((loss) => loss.tenant))) {
    const ofTenant = lost.filter((loss) => loss.tenant === tenant);
    for (const group of await groupsOf(index, inside.frames, tenant, ofTenant)) {
      const ids = await pinGroup({ ...inside, index }, tenant, group, lostOf(ofTenant));
      if (ids.length > 0) deleted.push({ tenant, group, ids });
    }
  }
  const accepted = await withoutWrites(async () => {
    // Of the pages that are whole alone. What then is missing is accepted with the rest, as it is told from now on.
    await ports.rebuild();
    const acceptedMs = Math.floor(clock.nowMs());
    const written = lost.filter(({ start, end }) => start !== end);
    const now = [...written, ...gapsOf(ports)].map((loss): Loss => ({ ...loss, acceptedMs }));
    const before = losses.all().filter((loss) => loss.acceptedMs !== undefined);
    await losses.save([...before, ...now]);
    index.acceptLosses(losses.accepted());
    await index.checkpoint();
    return now;
  });
  return { accepted, deleted };
}

function lostOf(losses: readonly Loss[]): LostOf {
  const lossOf = ({ segment, offset }: FramePlace) =>
    losses.filter((loss) => loss.segment === segment && offset >= loss.start && offset < loss.end);
  return {
    isPageLost: (place) => lossOf(place).some(({ frames }) => frames !== 0),
    isPayloadLost: ({ page, found }) => lossOf(page.place).some(({ ids }) => ids?.includes(found.entry.id) === true),
  };
}

/** Groups that may have lost something: those that are named, or all that a whole page names, where a loss names none. */
async function groupsOf(
  index: RecoverableIndex,
  frames: FrameReader,
  tenant: string,
  lost: readonly Loss[],
): Promise<Set<string>> {
  const named = new Set(lost.flatMap(({ group }) => group ?? []));
  if (lost.every(({ group }) => group !== undefined)) return named;
  for await (const record of index.all()) {
    if (record.tenant !== tenant) continue;
    const head = await readableHead(frames, tenant, record.place);
    if (head) named.add(head.header.group);
  }
  return named;
}

function readerOf({ segments, codecs, digest, uploads }: RepairPorts, tenant: string): PayloadReader {
  const frames = new FrameReader(segments, digest);
  return new PayloadReader(tenant, { frames, codecs, uploads: new UploadBlocks(uploads, digest) });
}

function fileOf({ losses: _, ...file }: Mended): MendedFile {
  return file;
}
