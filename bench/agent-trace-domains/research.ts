import type { Domain } from "./domain.ts";

export const research: Domain = {
  name: "research",
  naming: "traceId",
  artifact: "image",
  policy: `# Research agent

You answer questions that need more than one source. You plan, search, read, compare, and write a
short report in which every claim can be checked. Being useful matters more than being complete, and
being correct matters more than either.

## Planning

- Restate the question in one sentence. If two readings are possible and they would lead to different
  reports, ask which one is meant.
- Write three to six steps. A step names what it should find out, not the tool it will use.
- Revise the plan when a source contradicts it, and keep the old step with a line through it, so that
  the reader sees the turn.
- Stop when two more sources would not change the answer. Twenty sources are the most for one report.

## Judging sources

- Prefer the place where a number was first published. A newspaper that quotes a survey is a pointer
  to the survey.
- Note the year, the country and the method of each number; a number without them is not used.
- Two articles by the same institute count as one source.
- If good sources disagree, report both, and say what differs in how they measured.
- Translated quotations keep the original beside them.

## Writing

- Begin with the answer in at most three sentences, then the reasons, then what is uncertain.
- Round to what the method supports. Three significant digits are usually one too many.
- A table for anything with more than two columns; a chart only when its shape is the message.
- Mark your own estimates as such and show the calculation.
- End with the one source a reader with ten minutes should open.

`,
  tools: [
    {
      name: "search_papers",
      description: "Searches titles and abstracts and answers the best matches.",
      parameters: {
        query: "A few key words, any language.",
        fromYear: "Earliest year of publication.",
        resultsMax: "Most results to answer, 1–25.",
      },
      call: (scene) => ({ query: scene.topic(), fromYear: scene.count(2005, 2025), resultsMax: 25 }),
      row: (scene) => ({
        id: `10.5555/${scene.code(4).toLowerCase()}.${scene.count(1_000, 99_999)}`,
        title: `${scene.topic()} in ${scene.city()}: a ${scene.count(2, 15)}-year record`,
        authors: [scene.person(), scene.person()],
        year: scene.count(2005, 2025),
        citations: scene.count(0, 640),
        score: scene.count(100, 999) / 1000,
      }),
    },
    {
      name: "read_page",
      description: "Reads one page and answers its passages in order.",
      parameters: { url: "Address of the page.", passagesMax: "Most passages to answer, 1–40." },
      call: (scene) => ({
        url: `https://library.example/papers/${scene.random.hex(10)}`,
        passagesMax: scene.count(5, 40),
      }),
      row: (scene) => ({
        passage: scene.count(1, 90),
        heading: scene.random.pick(["Method", "Results", "Discussion", "Limits", "付録"]),
        text:
          `Across ${scene.count(12, 900)} sites near ${scene.city()}, ${scene.topic()} changed by ` +
          `${scene.count(-40, 60)} % (±${scene.count(1, 9)} %), while ${scene.city()} saw ` +
          `${scene.count(-40, 60)} % over the same ${scene.count(2, 15)} years.`,
      }),
    },
    {
      name: "query_dataset",
      description: "Runs one query over an open dataset and answers the rows.",
      parameters: { dataset: "Name of the dataset.", where: "Filter expression.", groupBy: "Column." },
      call: (scene) => ({
        dataset: `open-${scene.random.pick(["energy", "climate", "transport"])}-${scene.count(2015, 2025)}`,
        where: `year >= ${scene.count(2005, 2020)} and city <> '${scene.city()}'`,
        groupBy: "city",
      }),
      row: (scene) => ({
        city: scene.city(),
        year: scene.count(2005, 2025),
        samples: scene.count(8, 12_000),
        mean: scene.count(1_000, 99_999) / 100,
        deviation: scene.count(10, 2_000) / 100,
      }),
    },
  ],
  userSentences: [
    (scene) => `What do we know about ${scene.topic()} in ${scene.city()} since ${scene.count(2005, 2020)}?`,
    (scene) => `Please compare ${scene.city()} with ${scene.city()}, and keep the two methods apart.`,
    (scene) => `${scene.person()} quoted a drop of ${scene.count(5, 60)} %. Where does that number come from?`,
    () => "Only open data, please; the report goes to a public library.",
    () => "A chart would help if the curve really bends. Otherwise a small table is fine 📈",
    () => "Quelle est l'incertitude de cette estimation, et qui l'a publiée en premier ?",
    () => "这两项研究的抽样方法有什么不同？",
    (scene) => `Could you shorten it to ${scene.count(120, 400)} words and keep the sources?`,
  ],
  assistantSentences: [
    (scene) =>
      `In short: ${scene.topic()} rose by about ${scene.count(3, 40)} % in ${scene.city()}, with good agreement.`,
    (scene) =>
      "| place | years | change |\n|---|---|---|" +
      `\n| ${scene.city()} | ${scene.count(4, 15)} | ${scene.count(-30, 40)} % |` +
      `\n| ${scene.city()} | ${scene.count(4, 15)} | ${scene.count(-30, 40)} % |`,
    (scene) =>
      `The number goes back to ${scene.person()} and ${scene.person()} (${scene.count(2005, 2025)}), ` +
      "who counted households, not people.",
    () => "The two studies disagree because one measures in winter only; on the common months they are close.",
    (scene) =>
      `My plan: 1. find the first publication, 2. read its method, 3. check ${scene.city()} against the open data.`,
    (scene) => `This is my own estimate: ${scene.count(20, 90)} sites × ${scene.count(3, 40)} readings, rounded down.`,
    () => "两项研究都采用分层抽样，但第二项只包括城市家庭。",
    () => "What remains uncertain is the share of sites that closed early; neither source reports it.",
  ],
};
