import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Operation, OperationAnswer } from "../../test/support/aws/operations.ts";
import type { HandlerMessage, HandlerTask } from "./handler.ts";
import { type ProcessMember, Processes } from "./processes.ts";

const handlerFile = fileURLToPath(new URL("handler.ts", import.meta.url));

export interface CrewWork {
  /** The next operation, `undefined` while there is none. */
  next(): Operation | undefined;
  began(operation: Operation, startedMs: number): void;
  /** @param answer  `undefined` where there was none: the call failed, or its handler was killed */
  ended(operation: Operation, startedMs: number, endedMs: number, answer: OperationAnswer | undefined): void;
}

/** Handler processes at work. Those that end are replaced. */
export class Crew {
  readonly processes: Processes<HandlerMessage>;
  readonly #work: CrewWork;
  readonly #doing = new Map<ProcessMember, Operation>();
  readonly #idle = new Set<ProcessMember>();
  readonly broken: string[] = [];
  readonly failures: Record<string, number> = {};

  constructor(size: number, task: (n: number) => HandlerTask, work: CrewWork) {
    this.#work = work;
    this.processes = new Processes(size, (n) => fork(handlerFile, [JSON.stringify(task(n))], { execArgv: [] }), {
      hear: (member, message) => this.#hear(member, message),
      ended: (member) => {
        this.#idle.delete(member);
        this.#end(member, undefined);
      },
    });
  }

  get busy(): number {
    return this.#doing.size;
  }

  /** Gives work to those that wait for some. */
  assign(): void {
    for (const member of this.#idle) this.#assignTo(member);
  }

  #hear(member: ProcessMember, message: HandlerMessage): void {
    if (message.kind === "broken") this.broken.push(message.what);
    if (message.kind === "failed") this.failures[message.code] = (this.failures[message.code] ?? 0) + 1;
    this.#end(member, message.kind === "answered" ? message.answer : undefined);
    this.#assignTo(member);
  }

  #end(member: ProcessMember, answer: OperationAnswer | undefined): void {
    const operation = this.#doing.get(member);
    if (!operation) return;
    this.#doing.delete(member);
    this.#work.ended(operation, member.startedMs!, performance.now(), answer);
    member.startedMs = undefined;
  }

  #assignTo(member: ProcessMember): void {
    const operation = this.#work.next();
    this.#idle.delete(member);
    if (!operation) {
      this.#idle.add(member);
      return;
    }
    member.startedMs = performance.now();
    this.#doing.set(member, operation);
    this.#work.began(operation, member.startedMs);
    member.process.send(operation, () => {});
  }
}
