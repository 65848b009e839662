import { PayloadStoreError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/ports/clock.ts";
import type { Random } from "../../../core/ports/random.ts";
import { refuseHeldUp } from "../../../core/rows/knowledge.ts";
import type { World } from "./world.ts";

const second = 1_000;
const minute = 60 * second;

/** What may happen to the processes of a schedule, and how often. Probabilities are of one try of a request. */
export interface Weather {
  /** The try is lost on its way, or refused for a reason of the server's own: it has no effect. */
  readonly lost: number;
  /** It takes effect, and its answer is lost. */
  readonly unanswered: number;
  /** It is given up, and arrives later. */
  readonly late: number;
  /** The process is frozen, somewhere around it. */
  readonly freezes: number;
  /** It is the last thing that its process does. */
  readonly crashes: number;
  /** How far clocks are off, at most, in milliseconds. */
  readonly skewMsMax: number;
  /** Tries of one request. */
  readonly triesMax: number;
}

/** How long a server takes a signature, in milliseconds. */
export type SignatureMs = typeof dynamoSignatureMs | typeof s3SignatureMs;
export const dynamoSignatureMs = 300_000;
export const s3SignatureMs = 900_000;

export interface Request<Answer> {
  /** For people. */
  readonly what: string;
  readonly signatureMs: SignatureMs;
  /** When what it rests on was known, see {@link refuseHeldUp}; `Infinity` where it rests on nothing. */
  readonly restsOnMs: number;
  /** What the server does when a try of it arrives, in one step. */
  readonly serve: () => Answer;
}

/** How long a freeze may take: less than a lease, more than one, more than every grace. */
const freezesMs = [2 * second, 40 * second, 6 * minute, 16 * minute, 27 * minute, 50 * minute, 3 * 60 * minute];
/** How late a try may arrive after it was given up. */
const latenessesMs = [1, 500, 10 * second, 4 * minute, 7 * minute, 20 * minute, 70 * minute];
/** How long a client waits for an answer. */
const answerMsMax = 3 * second;

/**
 * A process, and the network between it and the servers. It can be frozen, for hours, and then goes on as if nothing had
 * happened; it can die; its clock is off; what it asks for can be lost on the way there or back, or arrive late.
 */
export class Process implements Clock, Random {
  readonly name: string;
  readonly #world: World;
  readonly #weather: Weather;
  /** How far its clock is off, and the date that it signs requests with. */
  #skewMs: number;
  #signingSkewMs: number;
  #frozenUntilMs = 0;
  #dead = false;
  readonly #died = Promise.withResolvers<"died">();

  constructor(world: World, name: string, weather: Weather) {
    this.name = name;
    this.#world = world;
    this.#weather = weather;
    this.#skewMs = world.random.between(-weather.skewMsMax, weather.skewMsMax);
    this.#signingSkewMs = this.#skewMs;
  }

  get isDead(): boolean {
    return this.#dead;
  }

  /** Resolves when it dies. */
  get died(): Promise<"died"> {
    return this.#died.promise;
  }

  nowMs(): number {
    return this.#world.nowMs() + this.#skewMs;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i += 4) {
      const word = this.#world.random.between(0, 0xffff_ffff);
      for (let j = 0; j < 4 && i + j < length; j++) bytes[i + j] = word >>> (8 * j);
    }
    return bytes;
  }

  readonly sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      this.#after(ms, resolve);
    });

  die(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#world.tell(() => `${this.name} dies`);
    this.#died.resolve("died");
  }

  /** Stops it for a while. Its clock goes on meanwhile, or stands, as that of a machine that sleeps. */
  freeze(ms: number = this.#world.random.pick(freezesMs)): void {
    if (this.#dead || this.#world.nowMs() < this.#frozenUntilMs) return;
    this.#frozenUntilMs = this.#world.nowMs() + ms;
    const stands = this.#world.random.chance(0.3);
    this.#world.tell(() => `${this.name} is frozen for ${ms / second} s${stands ? ", its clock too" : ""}`);
    if (!stands) return;
    this.#skewMs -= ms;
    this.#signingSkewMs -= ms;
  }

  /**
   * Asks a server. Each try is signed and checked anew.
   * @returns what the server answered, and when the try that was answered was signed
   * @throws {PayloadStoreError} `UNAVAILABLE` when no try was answered, or one may not be sent any more
   */
  async ask<Answer>(request: Request<Answer>): Promise<{ readonly answer: Answer; readonly signedMs: number }> {
    for (let tries = 1; ; tries++) {
      const outcome = await this.#try(request);
      if (outcome.kind === "answered") return outcome;
      if (tries >= this.#weather.triesMax) {
        throw new PayloadStoreError("UNAVAILABLE", `${request.what}: ${outcome.why}, and so was each try before`);
      }
      await this.sleep(this.#world.random.between(10, 500));
    }
  }

  async #try<Answer>({ what, signatureMs, restsOnMs, serve }: Request<Answer>): Promise<Tried<Answer>> {
    const { random } = this.#world;
    const { lost, unanswered, late, freezes, crashes } = this.#weather;
    if (random.chance(freezes / 2)) this.freeze();
    // It is made ready, and may be held up before it is signed.
    await this.sleep(random.between(0, 2));
    const signedMs = Math.floor((this.#world.nowMs() + this.#signingSkewMs) / second) * second;
    refuseHeldUp(restsOnMs, signedMs);
    // From here on no check of the process's own helps: only the server's look at the signature.
    const { promise, resolve } = Promise.withResolvers<Tried<Answer>>();
    const transitMs = random.between(1, 8);
    const fate = random.between(0, 999) / 1000;
    const heldUp = random.chance(freezes / 2);
    if (heldUp) this.freeze();
    const arrivesMs = transitMs + (heldUp ? Math.max(0, this.#frozenUntilMs - this.#world.nowMs()) : 0);
    const arrive = (): Tried<Answer> => {
      const offMs = this.#world.nowMs() - signedMs;
      if (Math.abs(offMs) > signatureMs) {
        this.#world.tell(
          () => `${this.name}: ${what} is refused, its signature is ${Math.round(offMs / second)} s off`,
        );
        return { kind: "failed", why: "the signature was refused", correctsClock: true };
      }
      const answer = serve();
      this.#world.tell(() => `${this.name}: ${what}`);
      return { kind: "answered", answer, signedMs };
    };
    const answer = (tried: Tried<Answer>, ms: number) =>
      this.#after(ms, () => {
        // As the SDK does: servers tell their time when they refuse a date.
        if (tried.kind === "failed" && tried.correctsClock) this.#signingSkewMs = 0;
        resolve(tried);
      });
    const giveUp = (why: string) => answer({ kind: "failed", why }, answerMsMax);

    if (fate < lost) {
      this.#world.tell(() => `${this.name}: ${what} is lost`);
      giveUp("it was not answered");
    } else if (fate < lost + unanswered) {
      this.#world.after(arrivesMs, () => {
        arrive();
        this.#world.tell(() => `${this.name}: … and its answer is lost`);
      });
      giveUp("it was not answered");
    } else if (fate < lost + unanswered + late) {
      this.#world.after(arrivesMs + random.pick(latenessesMs), () => {
        arrive();
        this.#world.tell(() => `${this.name}: … late`);
      });
      giveUp("it was not answered");
    } else if (fate < lost + unanswered + late + crashes) {
      this.#world.after(arrivesMs, arrive);
      this.#world.after(random.between(0, 12), () => this.die());
    } else {
      this.#world.after(arrivesMs, () => answer(arrive(), random.between(1, 8)));
    }
    return promise;
  }

  /** Runs in this process: when it is not frozen any more, and never once it is dead. */
  #after(ms: number, run: () => void): void {
    this.#world.after(ms, () => {
      if (this.#dead) return;
      if (this.#world.nowMs() < this.#frozenUntilMs) this.#after(this.#frozenUntilMs - this.#world.nowMs(), run);
      else run();
    });
  }
}

type Tried<Answer> =
  | { readonly kind: "answered"; readonly answer: Answer; readonly signedMs: number }
  | { readonly kind: "failed"; readonly why: string; readonly correctsClock?: true };
