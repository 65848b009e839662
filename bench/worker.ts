import { measureCallers, type CallersResult, type CallersTask } from "./measures/callers.ts";
import { measureCodec, type CodecResult, type CodecTask } from "./measures/codec.ts";
import { measureFloor, type FloorResult, type FloorTask } from "./measures/floor.ts";
import { measureHttp, type HttpResult, type HttpTask } from "./measures/http.ts";
import { measureKilled, type KilledResult, type KilledTask } from "./measures/killed.ts";
import { measureOpen, type OpenResult, type OpenTask } from "./measures/open.ts";
import { measureRead, type ReadResult, type ReadTask } from "./measures/read.ts";
import { measureRebuild, type RebuildResult, type RebuildTask } from "./measures/rebuild.ts";
import { measureSingle, type SingleResult, type SingleTask } from "./measures/single.ts";
import { measureWrite, type WriteResult, type WriteTask } from "./measures/write.ts";

export type Task =
  | WriteTask
  | OpenTask
  | KilledTask
  | ReadTask
  | RebuildTask
  | SingleTask
  | FloorTask
  | CodecTask
  | CallersTask
  | HttpTask;

export interface Results {
  readonly write: WriteResult;
  readonly open: OpenResult;
  readonly killed: KilledResult;
  readonly read: ReadResult;
  readonly rebuild: RebuildResult;
  readonly single: SingleResult;
  readonly floor: FloorResult;
  readonly codec: CodecResult;
  readonly callers: CallersResult;
  readonly http: HttpResult;
}

/**
 * One measure in a process of its own, so that none inherits another's heap or compiled code.
 *
 * It is also run by hand, under a profiler:
 *     node --cpu-prof bench/worker.ts '{"measure":"write","peer":"paylode","directory":"bench/data/x","payloads":100000}'
 */
async function measure(task: Task): Promise<Results[keyof Results]> {
  switch (task.measure) {
    case "write":
      return measureWrite(task);
    case "open":
      return measureOpen(task);
    case "killed":
      return measureKilled(task);
    case "read":
      return measureRead(task);
    case "rebuild":
      return measureRebuild(task);
    case "single":
      return measureSingle(task);
    case "floor":
      return measureFloor(task);
    case "codec":
      return measureCodec(task);
    case "callers":
      return measureCallers(task);
    case "http":
      return measureHttp(task);
  }
}

const result = await measure(JSON.parse(process.argv[2] ?? "") as Task);
if (process.send) {
  process.send(result);
  process.disconnect();
} else {
  console.log(JSON.stringify(result, undefined, 2));
}
