import { type ChildProcess, fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { SeededRandom } from "../agent-trace-random.ts";
import type { Operation, OperationAnswer } from "../../test/support/aws/operations.ts";
import type { HandlerMessage, HandlerTask } from "./handler.ts";

const handlerFile = fileURLToPath(new URL("handler.ts", import.meta.url));

export interface CrewWork {
  /** The next operation, `undefined` while there is none. */
  next(): Operation | undefined;
  began(operation: Operation, startedMs: number): void;
  /** @param answer  `undefined` where there was none: the call failed, or its handler was killed */
  ended(operation: Operation, startedMs: number, endedMs: number, answer: OperationAnswer | undefined): void;
}

interface Member {
  readonly process: ChildProcess;
  doing: { readonly operation: Operation; readonly startedMs: number } | undefined;
  idle: boolean;
  frozen: boolean;
}

/** Handler processes at work. Those that end are replaced. */
export class Crew {
  readonly #members = new Set<Member>();
  readonly #task: (n: number) => HandlerTask;
  readonly #work: CrewWork;
  #started = 0;
  #dismissed = false;
  readonly broken: string[] = [];
  readonly failures: Record<string, number> = {};

  constructor(size: number, task: (n: number) => HandlerTask, work: CrewWork) {
    this.#task = task;
    this.#work = work;
    for (let i = 0; i < size; i++) this.#start();
  }

  get busy(): number {
    return [...this.#members].filter(({ doing }) => doing).length;
  }

  /** Gives work to those that wait for some. */
  assign(): void {
    for (const member of this.#members) if (member.idle) this.#assignTo(member);
  }

  kill(random: SeededRandom): void {
    random.pick([...this.#members]).process.kill("SIGKILL");
  }

  /** Stops a process in whatever it does, and lets it go on later, as a frozen sandbox is. */
  freeze(random: SeededRandom, ms: number): void {
    const member = random.pick([...this.#members]);
    if (member.frozen) return;
    member.frozen = true;
    member.process.kill("SIGSTOP");
    setTimeout(() => {
      member.process.kill("SIGCONT");
      member.frozen = false;
    }, ms);
  }

  async dismiss(): Promise<void> {
    this.#dismissed = true;
    for (const { process: child } of this.#members) child.kill("SIGKILL");
    while (this.#members.size > 0) await sleep(10);
  }

  #start(): void {
    const child = fork(handlerFile, [JSON.stringify(this.#task((this.#started += 1)))], { execArgv: [] });
    const member: Member = { process: child, doing: undefined, idle: false, frozen: false };
    this.#members.add(member);
    child.on("message", (message) => this.#hear(member, message as HandlerMessage));
    child.on("exit", () => {
      this.#members.delete(member);
      this.#end(member, undefined);
      if (!this.#dismissed) this.#start();
    });
  }

  #hear(member: Member, message: HandlerMessage): void {
    if (message.kind === "broken") this.broken.push(message.what);
    if (message.kind === "failed") this.failures[message.code] = (this.failures[message.code] ?? 0) + 1;
    this.#end(member, message.kind === "answered" ? message.answer : undefined);
    this.#assignTo(member);
  }

  #end(member: Member, answer: OperationAnswer | undefined): void {
    if (member.doing) this.#work.ended(member.doing.operation, member.doing.startedMs, performance.now(), answer);
    member.doing = undefined;
  }

  #assignTo(member: Member): void {
    const operation = this.#work.next();
    member.idle = !operation;
    if (!operation) return;
    const startedMs = performance.now();
    member.doing = { operation, startedMs };
    this.#work.began(operation, startedMs);
    member.process.send(operation, () => {});
  }
}
