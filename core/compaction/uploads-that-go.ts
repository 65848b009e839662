import { decodePage } from "../page/page.ts";
import type { SegmentStore } from "../ports/segment-store.ts";
import type { ReclaimingUploads, UploadSummary } from "../ports/upload-store.ts";
import type { SegmentScan } from "../segment/scan.ts";

interface Named {
  readonly tenant: string;
  readonly name: string;
}

export interface UploadsThatGo {
  /** Named by no segment but those that go. */
  readonly uploads: readonly UploadSummary[];
  /** Segments that stay, since it cannot be told what a damaged one names; and which that is. */
  readonly kept: readonly (Named & { readonly damaged: string })[];
}

/**
 * The uploads of a folder that go with some segments: without them no page would name the files, and nobody could tell any more whose
 * bytes they hold.
 *
 * Cost: lists the uploads; where there are any of a tenant, reads the heads of all frames of the segments that go, and where one of these
 * names one, of all others of the tenant.
 */
export async function uploadsThatGo(
  { segments, uploads }: { readonly segments: SegmentStore; readonly uploads: ReclaimingUploads },
  going: readonly Named[],
): Promise<UploadsThatGo> {
  const there = await uploads.list();
  const found: UploadSummary[] = [];
  const kept: UploadsThatGo["kept"][number][] = [];
  const owners = new Set(there.map(({ tenant }) => tenant));
  for (const tenant of new Set(going.map((segment) => segment.tenant))) {
    if (!owners.has(tenant)) continue;
    const leaving = new Set(going.filter((segment) => segment.tenant === tenant).map(({ name }) => name));
    const all = (await segments.segments()).filter((summary) => summary.tenant === tenant);
    const [goes = [], stays = []] = [true, false].map((isLeaving) =>
      all.flatMap(({ segment }) => (leaving.has(segment) === isLeaving ? [segment] : [])),
    );
    let damaged: string | undefined;
    const namedBy = async (segment: string): Promise<ReadonlySet<string>> => {
      const scan = await segments.scan(tenant, segment);
      if (scan.damage.length > 0) damaged ??= segment;
      return uploadsIn(scan);
    };
    const named = new Map<string, ReadonlySet<string>>();
    for (const segment of goes) named.set(segment, await namedBy(segment));
    const alone = new Set([...named.values()].flatMap((names) => [...names]));
    if (alone.size === 0 && damaged === undefined) continue;
    for (const segment of stays) for (const name of await namedBy(segment)) alone.delete(name);
    if (damaged === undefined) {
      found.push(...there.filter((upload) => upload.tenant === tenant && alone.has(upload.name)));
      continue;
    }
    for (const [name, names] of named) {
      if (name === damaged || [...names].some((upload) => alone.has(upload))) kept.push({ tenant, name, damaged });
    }
  }
  return { uploads: found, kept };
}

/** What its pages name, also those that are hidden. */
function uploadsIn({ frames }: SegmentScan): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { page: encoded } of frames) {
    const page = decodePage(encoded);
    if (page.ok && page.value.upload !== undefined) names.add(page.value.upload);
  }
  return names;
}
