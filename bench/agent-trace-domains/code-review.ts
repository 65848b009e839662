import type { Domain } from "./domain.ts";

export const codeReview: Domain = {
  name: "code-review",
  naming: "run",
  artifact: "emptyOutput",
  policy: `# Review agent

You review changes to a TypeScript service before a person does. Your aim is that the second reviewer
finds nothing you could have found. You read the change, run the checks, and write comments; you do
not push commits.

## What to look for, in this order

1. **Wrong answers.** A branch that cannot be reached, a boundary off by one, a promise nobody awaits,
   an error swallowed on the way up.
2. **Lost work.** Anything acknowledged before it is stored, or retried although it cannot be repeated.
3. **Missing bounds.** A loop over input, a queue, a cache or a retry without a stated maximum.
4. **Borders.** A module that reaches around its neighbour's interface, or a vendor's type that travels
   further than the adapter.
5. **Names and shape.** Only when the reader would be misled. A name you merely like better is not a
   finding.

## How to write a comment

- Begin with what happens: the input, the line, the wrong outcome. Then propose the smallest repair.
- One finding, one comment, on the line where the repair belongs.
- Mark each as *must fix*, *should fix* or *question*. A review with eleven *must fix* marks has
  usually misread the design; look again.
- Quote at most three lines. Link to the rest.
- Where the change is good, say so once, and say why, so that it stays that way.

## Running things

- Run the type check and the tests of the touched folders before you comment on behaviour.
- A failing test that also fails on the main branch is reported separately, not as part of the change.
- Reproduce a suspected race at least twice, and give the seed.
- Output longer than two hundred lines is cut in the middle; ask for the range you need.

`,
  tools: [
    {
      name: "list_changes",
      description: "Lists the files a pull request touches, with the size of each change.",
      parameters: { pullRequest: "Number of the pull request." },
      call: (scene) => ({ pullRequest: scene.count(100, 4_800) }),
      row: (scene) => ({
        path: scene.file(),
        status: scene.random.pick(["added", "modified", "renamed"]),
        linesAdded: scene.count(0, 180),
        linesRemoved: scene.count(0, 90),
        blob: scene.random.hex(40),
        author: scene.person(),
      }),
    },
    {
      name: "search_code",
      description: "Finds a phrase in the repository and answers the lines around each hit.",
      parameters: {
        phrase: "Plain text, matched with its case.",
        under: "Folder to search in.",
        hitsMax: "Most hits to answer, 1–50.",
      },
      call: (scene) => ({
        phrase: scene.random.pick(["retryAfterMs", "await flush(", "cursor ??", "catch {"]),
        under: "src",
        hitsMax: scene.count(5, 50),
      }),
      row: (scene) => ({
        path: scene.file(),
        line: scene.count(1, 420),
        text: `  const ${scene.random.pick(["total", "cursor", "lease", "page"])} = await ${scene.random.pick([
          "load",
          "advance",
          "resume",
        ])}(${scene.random.pick(["request", "key", "options"])}, { limit: ${scene.count(1, 500)} });`,
        commit: scene.random.hex(12),
      }),
    },
    {
      name: "run_checks",
      description: "Runs the type check, the linter and the tests of a folder.",
      parameters: { under: "Folder whose tests run.", seed: "Seed for the property tests." },
      call: (scene) => ({ under: scene.file(), seed: scene.count(1, 2_000_000_000) }),
      row: (scene) => ({
        test: `${scene.file()} › ${scene.random.pick(["keeps the order", "refuses a negative limit", "resumes"])}`,
        outcome: scene.random.pick(["passed", "passed", "passed", "failed", "skipped"]),
        durationMs: scene.count(1, 2_400),
        assertions: scene.count(1, 64),
      }),
    },
  ],
  userSentences: [
    (scene) => `Please review #${scene.count(100, 4_800)}, mostly the part in \`${scene.file()}\`.`,
    (scene) => `${scene.person()} is unsure about the locking in \`${scene.file()}\`, line ${scene.count(10, 400)}.`,
    (scene) => `CI was red once and green on retry with seed ${scene.count(1, 90_000)}. Flaky, or a real race?`,
    () => "Skip the generated client, it is regenerated from the schema anyway.",
    () => "Does this still hold when the page is empty? I could not convince myself.",
    () => "Fair point about the bound. What would you pick, and where should it live?",
    () => "LGTM otherwise? I would love to ship this before lunch 🚀",
    () => "Der Name stammt noch aus der alten Schnittstelle; größere Umbauten bitte getrennt.",
  ],
  assistantSentences: [
    (scene) =>
      `**Must fix**, \`${scene.file()}\` line ${scene.count(4, 400)}: ` +
      "nobody awaits the promise, so a failed write is lost.",
    (scene) =>
      `**Should fix**: the retry has no upper bound. ${scene.count(3, 8)} attempts cover the documented recovery time.`,
    (scene) => `**Question**: can \`cursor\` be empty here? The caller in \`${scene.file()}\` seems to allow it.`,
    (scene) =>
      "A smaller repair would be:\n\n```ts\n" +
      `if (page.length === 0) return undefined;\nreturn page.slice(0, ${scene.count(10, 500)});\n` +
      "```",
    (scene) => `All ${scene.count(40, 900)} tests pass on this branch, and the type check is clean.`,
    (scene) =>
      `The failure repeats with seed ${scene.count(1, 90_000)}: two writers read one lease before either renews it.`,
    () => "The new boundary between parsing and pricing is a clear improvement; each can now be tested alone.",
    () => "Nothing else stands out. I did not look at the generated files.",
  ],
};
