import { airlineSupport } from "./agent-trace-domains/airline-support.ts";
import { codeReview } from "./agent-trace-domains/code-review.ts";
import { houseRules, type Domain, type Sentence, type Tool } from "./agent-trace-domains/domain.ts";
import { research } from "./agent-trace-domains/research.ts";
import { shopOrders } from "./agent-trace-domains/shop-orders.ts";
import { SeededRandom } from "./agent-trace-random.ts";
import { Scene } from "./agent-trace-vocabulary.ts";

/** One line of an NDJSON import: a key, exactly one of `text`, `json` and `base64`, and what is known about it. */
export type TraceLine = {
  group: string;
  id: string;
  text?: string;
  json?: unknown;
  base64?: string;
  contentType?: string;
  attributes?: Record<string, string>;
};

/**
 * Traces of AI agents at work, made up but shaped like recorded ones.
 *
 * A trace is one group of 6–40 payloads in the order they happened: a system prompt of about 5 KB, turns of a user and
 * an assistant, tool calls and their tables, and for every model call a record that repeats the whole history so far.
 * Domains take turns, so any four traces in a row hold each of them once.
 *
 * @param options.seed  a whole number, of which the low 32 bits count; the same seed gives the same lines everywhere.
 * @param options.traces  how many groups; fewer traces of the same seed are a prefix of more.
 */
export function* agentTraces(options: { seed: number; traces: number }): Generator<TraceLine> {
  const random = new SeededRandom(options.seed);
  const domains = random.some([airlineSupport, codeReview, shopOrders, research], 4);
  let startMs = Date.UTC(2026, 0, 5) + random.between(0, 300 * 24 * 60) * 60_000;

  for (let index = 0; index < options.traces; index++) {
    const domain = domains[index % domains.length];
    if (domain === undefined) throw new RangeError("no domain to draw from");
    yield* new Trace(domain, random, startMs, index).lines();
    startMs += random.between(1_000, 20 * 60_000);
  }
}

type Message = {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
  tool_calls?: { id: string; name: string; arguments: unknown }[];
};

type Content = Pick<TraceLine, "text" | "json" | "base64" | "contentType">;

/** One conversation while it is being told: its clock, its history, and the names of its payloads. */
class Trace {
  readonly #domain: Domain;
  readonly #random: SeededRandom;
  readonly #scene: Scene;
  readonly #group: string;
  readonly #model: string;
  readonly #history: Message[] = [];
  #nowMs: number;
  #payloads = 0;

  constructor(domain: Domain, random: SeededRandom, startMs: number, index: number) {
    this.#domain = domain;
    this.#random = random;
    this.#scene = new Scene(random, startMs);
    this.#group = groupName(domain, random, startMs, index);
    this.#model = random.pick(["atlas-large-2026-01", "atlas-small-2026-01", "corvid-2.5"]);
    this.#nowMs = startMs;
  }

  *lines(): Generator<TraceLine> {
    yield this.#systemPrompt();

    // The larger of two draws, since most conversations run long. A round adds at most 10 payloads and the artifact 1,
    // so 30 here keeps a trace within 40.
    const payloadsWanted = Math.max(this.#random.between(6, 30), this.#random.between(6, 30));
    while (this.#payloads < payloadsWanted) yield* this.#round();

    if (this.#domain.artifact === "emptyOutput") {
      yield this.#line("tool-output", { text: "" });
    } else if (this.#domain.artifact === "image" && this.#random.chance(0.75)) {
      yield this.#line("artifact", this.#image());
    }
  }

  #systemPrompt(): TraceLine {
    const opened = new Date(this.#nowMs).toISOString();
    const content = `${this.#domain.policy}${houseRules}\nThis conversation was opened at ${opened}.\n`;
    this.#history.push({ role: "system", content });
    return this.#line("system-prompt", { text: content, contentType: "text/markdown; charset=utf-8" });
  }

  /** The user speaks, the agent calls up to two tools and answers: 3–10 payloads. */
  *#round(): Generator<TraceLine> {
    const question = this.#speak(this.#domain.userSentences, 1, 4);
    this.#history.push({ role: "user", content: question });
    yield this.#line("user-turn", { text: question });

    const tools = this.#random.some(this.#domain.tools, this.#random.between(0, 2));
    for (const tool of tools) yield* this.#toolStep(tool);

    const answer = this.#speak(this.#domain.assistantSentences, 2, 5);
    yield this.#modelCall({ role: "assistant", content: answer });
    yield this.#line("assistant-turn", { text: answer });

    if (this.#random.chance(0.3)) yield this.#line("state-snapshot", { json: this.#snapshot() });
  }

  *#toolStep(tool: Tool): Generator<TraceLine> {
    const call = { id: `call_${this.#random.hex(20)}`, name: tool.name, arguments: tool.call(this.#scene) };
    yield this.#modelCall({ role: "assistant", content: "", tool_calls: [call] });
    yield this.#line("tool-call", { json: call });

    // Most tables are short and a few are long, as recorded ones are.
    const rowsMost = this.#random.chance(0.2) ? 56 : 18;
    const rows = Array.from({ length: this.#random.between(2, rowsMost) }, () => tool.row(this.#scene));
    this.#history.push({ role: "tool", content: JSON.stringify(rows) });
    yield this.#line("tool-result", { json: { call: call.id, name: tool.name, rows } });
  }

  /** Records a call to the model with all it was sent, then appends its answer to the history. */
  #modelCall(output: Message): TraceLine {
    const started = new Date(this.#nowMs).toISOString();
    const input = [...this.#history];
    this.#history.push(output);
    this.#nowMs += this.#random.between(300, 9_000);
    return this.#line("llm-call", {
      json: {
        name: `chat ${this.#model}`,
        start_time: started,
        end_time: new Date(this.#nowMs).toISOString(),
        status: "OK",
        attributes: {
          "gen_ai.operation.name": "chat",
          "gen_ai.request.model": this.#model,
          "gen_ai.response.id": `resp_${this.#random.hex(24)}`,
          "gen_ai.usage.input_tokens": tokensAbout(input),
          "gen_ai.usage.output_tokens": tokensAbout(output),
        },
        tools: this.#domain.tools.map(definition),
        input,
        output,
      },
    });
  }

  #snapshot(): unknown {
    return {
      agent: this.#domain.name,
      customer: this.#scene.customer,
      reference: this.#scene.reference,
      messages: this.#history.length,
      checkpoint: this.#random.hex(32),
      pending: this.#random.some(this.#domain.tools, 2).map((tool) => ({ tool: tool.name, retries: 0 })),
      budget: { tokensLeft: this.#random.between(2_000, 180_000), stepsLeft: this.#random.between(0, 40) },
    };
  }

  /** The eight bytes every PNG begins with, then noise: as incompressible as the pictures agents keep. */
  #image(): Content {
    const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
    const bytes = Buffer.from([...signature, ...this.#random.bytes(this.#random.between(1_016, 4_088))]);
    return { base64: bytes.toString("base64"), contentType: "image/png" };
  }

  #speak(sentences: readonly Sentence[], least: number, most: number): string {
    const spoken = this.#random.some(sentences, this.#random.between(least, most));
    return spoken.map((sentence) => sentence(this.#scene)).join(" ");
  }

  #line(kind: string, content: Content): TraceLine {
    this.#nowMs += this.#random.between(5, 4_000);
    this.#payloads++;
    const step = String(this.#payloads).padStart(4, "0");
    const id = this.#domain.naming === "traceId" ? this.#random.hex(16) : `${step}-${kind}`;
    const at = new Date(this.#nowMs).toISOString();
    return { group: this.#group, id, ...content, attributes: { kind, agent: this.#domain.name, at } };
  }
}

function groupName(domain: Domain, random: SeededRandom, startMs: number, index: number): string {
  if (domain.naming === "traceId") return random.hex(32);
  const start = new Date(startMs).toISOString().slice(0, 19).replaceAll(":", "-");
  return `${domain.naming}-${start}-${String(index).padStart(6, "0")}`;
}

function definition(tool: Tool): unknown {
  const properties = Object.entries(tool.parameters).map(([name, description]) => [name, { description }]);
  const parameters = { type: "object", properties: Object.fromEntries(properties), additionalProperties: false };
  return { type: "function", name: tool.name, description: tool.description, parameters };
}

/** Four characters of JSON for each token: the usual rule of thumb, and steady enough for a made-up count. */
function tokensAbout(value: unknown): number {
  return Math.ceil(JSON.stringify(value).length / 4);
}
