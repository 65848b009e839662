import { utf8, utf8Text } from "../../bytes.ts";
import { PayloadStoreError } from "../../errors.ts";
import { type Fields, isFields, isList, isWhole } from "../../index/saved-state.ts";
import type { Digest } from "../../ports/digest.ts";
import type { Loss, LossList } from "../../repair/loss.ts";
import { crcText, formatVersion } from "../../segment/header.ts";
import type { FileSystem } from "./file-system.ts";
import { readWhole, replaceFile } from "./files.ts";
import type { Layout } from "./layout.ts";

interface Ports {
  readonly fs: FileSystem;
  readonly layout: Layout;
  readonly digest: Digest;
}

/** What repairs found lost for good, in `losses.json`; there is none until something is. docs/format.md §1. */
export class LossesFile implements LossList {
  readonly #ports: Ports;
  #losses: readonly Loss[];

  private constructor(ports: Ports, losses: readonly Loss[]) {
    this.#ports = ports;
    this.#losses = losses;
  }

  /** @throws {PayloadStoreError} `CORRUPT` when it is damaged; `UNSUPPORTED_VERSION` */
  static open(ports: Ports): LossesFile {
    const { fs, layout, digest } = ports;
    const bytes = readWhole(fs, layout.lossesFile);
    return new LossesFile(ports, bytes ? decode(bytes, layout.lossesFile, digest) : []);
  }

  all(): readonly Loss[] {
    return this.#losses;
  }

  accepted(): readonly Loss[] {
    return this.#losses.filter(({ acceptedMs }) => acceptedMs !== undefined);
  }

  /** Losses that took pages, and that nobody has accepted: an index that is made anew has to know of them. */
  unaccepted(): readonly Loss[] {
    return this.#losses.filter(({ acceptedMs, frames }) => acceptedMs === undefined && frames !== 0);
  }

  /** Puts these in the place of all, durably. */
  async save(losses: readonly Loss[]): Promise<void> {
    const { fs, layout, digest } = this.#ports;
    const text = JSON.stringify(losses);
    const file = { format: formatVersion, crc: crcText(digest.crc32(utf8(text))), losses };
    await replaceFile(fs, layout.lossesFile, utf8(`${JSON.stringify(file, undefined, 1)}\n`), {
      file: "repair",
      folder: "repair",
    });
    this.#losses = losses;
  }
}

function decode(bytes: Uint8Array, path: string, digest: Digest): readonly Loss[] {
  const file = parse(bytes);
  if (file && typeof file["format"] === "number" && file["format"] > formatVersion) {
    const message = `${path} has format ${file["format"]}; this release reads format ${formatVersion}`;
    throw new PayloadStoreError("UNSUPPORTED_VERSION", message);
  }
  const losses = file?.["losses"];
  if (isList(losses, isLoss) && file?.["crc"] === crcText(digest.crc32(utf8(JSON.stringify(losses)))))
    return losses as readonly Loss[];
  const message = `${path} is damaged: it says what is lost, so restore it from a copy; without it, run \`paylode repair\` once it is moved away, and mind that what lay in quarantine/ is then absent`;
  throw new PayloadStoreError("CORRUPT", message);
}

function parse(bytes: Uint8Array): Fields | undefined {
  try {
    const json: unknown = JSON.parse(utf8Text(bytes) ?? "");
    return isFields(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

function isLoss(value: unknown): boolean {
  if (!isFields(value)) return false;
  const names = ["tenant", "segment", "reason"].every((name) => typeof value[name] === "string");
  const numbers = ["start", "end", "notedMs"].every((name) => isWhole(value[name]));
  const { ids, frames, acceptedMs } = value as Fields & Partial<Loss>;
  const optional = [frames, acceptedMs].every((number) => number === undefined || isWhole(number));
  return names && numbers && optional && (ids === undefined || isList(ids, (id) => typeof id === "string"));
}
