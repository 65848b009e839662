import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { SeededRandom } from "../agent-trace-random.ts";

export interface ProcessMember {
  readonly process: ChildProcess;
  frozen: boolean;
  /** When it began what it is at, by `performance.now`. */
  startedMs: number | undefined;
}

/** Processes of one kind, some of which are killed and frozen. One that ends is replaced. */
export class Processes<Message> {
  readonly #members = new Set<ProcessMember>();
  readonly #fork: (n: number) => ChildProcess;
  readonly #hear: (member: ProcessMember, message: Message) => void;
  readonly #ended: (member: ProcessMember) => void;
  #started = 0;
  #dismissed = false;
  readonly counts = { kills: 0, freezes: 0, timeouts: 0 };

  constructor(
    size: number,
    fork: (n: number) => ChildProcess,
    on: { hear(member: ProcessMember, message: Message): void; ended?(member: ProcessMember): void },
  ) {
    this.#fork = fork;
    this.#hear = (member, message) => on.hear(member, message);
    this.#ended = (member) => on.ended?.(member);
    for (let i = 0; i < size; i++) this.#start();
  }

  get members(): readonly ProcessMember[] {
    return [...this.#members];
  }

  kill(random: SeededRandom): void {
    if (this.#members.size === 0) return;
    random.pick(this.members).process.kill("SIGKILL");
    this.counts.kills += 1;
  }

  /** Stops a process in whatever it does, and lets it go on later, as a frozen sandbox is. */
  freeze(random: SeededRandom, ms: number): void {
    if (this.#members.size === 0) return;
    const member = random.pick(this.members);
    if (member.frozen) return;
    member.frozen = true;
    member.process.kill("SIGSTOP");
    this.counts.freezes += 1;
    setTimeout(() => {
      member.process.kill("SIGCONT");
      member.frozen = false;
    }, ms);
  }

  /** Ends those that have been at what they do for too long. */
  killSlow(msMax: number): void {
    for (const { process: child, startedMs = Infinity } of this.#members) {
      if (performance.now() - startedMs <= msMax || child.killed) continue;
      child.kill("SIGKILL");
      this.counts.timeouts += 1;
    }
  }

  async dismiss(): Promise<void> {
    this.#dismissed = true;
    for (const { process: child } of this.#members) child.kill("SIGKILL");
    while (this.#members.size > 0) await sleep(10);
  }

  #start(): void {
    const child = this.#fork((this.#started += 1));
    const member: ProcessMember = { process: child, frozen: false, startedMs: undefined };
    this.#members.add(member);
    child.on("message", (message) => this.#hear(member, message as Message));
    child.on("exit", () => {
      this.#members.delete(member);
      this.#ended(member);
      if (!this.#dismissed) this.#start();
    });
  }
}
