import { SeededRandom } from "../../../bench/agent-trace-random.ts";
import { isPayloadStoreError } from "../../../core/errors.ts";
import { watchAllocations } from "./allocation-watch.ts";
import { decoderTargets, type FuzzAnswer } from "./decoder-targets.ts";
import { goldenPieces, type GoldenPieces } from "./golden-pieces.ts";

export interface FuzzReport {
  readonly cases: number;
  /** By target: cases whose bytes were taken, and cases whose damage was said. */
  readonly decoded: Readonly<Record<string, number>>;
  readonly refused: Readonly<Record<string, number>>;
  readonly violations: readonly FuzzViolation[];
}

export interface FuzzViolation {
  readonly seed: number;
  readonly target: string;
  readonly what: string;
}

/** Opening a whole store takes as long as hundreds of other cases. */
const casesPerStore = 200;
/** What a decoder may make room for beside its bytes: a window of a scan, a stack of small arrays. */
const spareBytes = 1024 * 1024;

const { store: storeTarget, ...quickTargets } = decoderTargets;
const quickNames = Object.keys(quickTargets);

/**
 * Gives changed bytes to every decoder, a case for each seed, and looks that it answers: a value, the damage, or an error
 * of the store's own class; with a bounded number of reads, and without room for a length that is not there.
 */
export async function fuzzDecoders(
  firstSeed: number,
  cases: number,
  targets: readonly string[] = quickNames,
): Promise<FuzzReport> {
  const pieces = await goldenPieces();
  const decoded: Record<string, number> = {};
  const refused: Record<string, number> = {};
  const violations: FuzzViolation[] = [];
  for (let seed = firstSeed; seed < firstSeed + cases; seed++) {
    const target =
      seed % casesPerStore === 0 && targets === quickNames ? "store" : (targets[seed % targets.length] ?? "");
    const answer = await runCase(pieces, target, seed);
    if (answer === "decoded") decoded[target] = (decoded[target] ?? 0) + 1;
    else if (answer === "refused") refused[target] = (refused[target] ?? 0) + 1;
    else violations.push({ seed, target, what: answer.wrong });
  }
  return { cases, decoded, refused, violations };
}

async function runCase(
  pieces: GoldenPieces,
  target: string,
  seed: number,
): Promise<FuzzAnswer | { readonly wrong: string }> {
  const draw = target === "store" ? storeTarget : quickTargets[target];
  if (!draw) throw new Error(`there is nothing to fuzz by the name ${JSON.stringify(target)}`);
  const drawn = draw(pieces, new SeededRandom(seed));
  const { value: answer, largestBytes } = await watchAllocations(async () => {
    try {
      return await drawn.decode();
    } catch (error) {
      if (isPayloadStoreError(error)) return "refused";
      return { wrong: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  });
  if (largestBytes <= 4 * drawn.bytes + spareBytes) return answer;
  return { wrong: `asks for ${largestBytes} bytes where ${drawn.bytes} are enough` };
}
