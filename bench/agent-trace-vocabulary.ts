import type { SeededRandom } from "./agent-trace-random.ts";

/**
 * The nouns of one trace: who it is about, which case, and draws of the places, things and sums around them.
 *
 * `customer` and `reference` stay the same for the whole trace, as they do in a real conversation; everything else is
 * drawn anew at each call.
 */
export class Scene {
  readonly random: SeededRandom;
  readonly customer: string;
  readonly reference: string;
  readonly #startMs: number;

  /** @param startMs  when the trace begins, in milliseconds since 1970; dates are drawn around it. */
  constructor(random: SeededRandom, startMs: number) {
    this.random = random;
    this.customer = random.pick(people);
    this.reference = this.code(6);
    this.#startMs = startMs;
  }

  person(): string {
    return this.random.pick(people);
  }

  city(): string {
    return this.random.pick(cities);
  }

  airport(): string {
    return this.random.pick(airports);
  }

  product(): string {
    return `${this.random.pick(finishes)} ${this.random.pick(goods)}`;
  }

  topic(): string {
    return `${this.random.pick(studies)} ${this.random.pick(topics)}`;
  }

  file(): string {
    const { random } = this;
    return `${random.pick(folders)}/${random.pick(modules)}.ts`;
  }

  count(least: number, most: number): number {
    return this.random.between(least, most);
  }

  /** Upper-case letters and digits without the look-alikes 0, O, 1 and I, as in a booking reference. */
  code(length: number): string {
    return Array.from({ length }, () => this.random.pick(symbols)).join("");
  }

  /** A sum of money in hundredths of the currency, always whole. */
  cents(): number {
    return this.random.between(450, 98_000);
  }

  /** The same kind of sum, written for people: "128.40 €". */
  price(): string {
    return `${(this.cents() / 100).toFixed(2)} ${this.random.pick(["€", "£", "USD", "CHF"])}`;
  }

  /** A day from a month before the trace to two months after it: "2026-03-09". */
  day(): string {
    const days = this.random.between(-30, 60);
    return new Date(this.#startMs + days * 86_400_000).toISOString().slice(0, 10);
  }

  /** A time of day on a five-minute mark: "17:35". */
  time(): string {
    const two = (value: number): string => String(value).padStart(2, "0");
    return `${two(this.random.between(0, 23))}:${two(this.random.between(0, 11) * 5)}`;
  }
}

const symbols = "A B C D E F G H J K L M N P Q R S T U V W X Y Z 2 3 4 5 6 7 8 9".split(" ");

const people = [
  ..."Amara Okafor,Zoë Müller,José Álvarez,Ingrid Sørensen,Łukasz Wójcik,Priya Raghavan".split(","),
  ..."佐藤 花子,王小明,김민준,Мария Иванова,Nguyễn Thị Lan,Tomás Ó Briain,Chloé Lefèvre".split(","),
  ..."Grace Mbeki,Daniel Whitfield,Noor al-Hassan,Sinéad Kelly,Björn Åkesson,Ravi Patel".split(","),
  ..."Hannah Brandt,Mateo Fernández,Elif Yılmaz,Δημήτρης Παππάς,Olivia Marsh".split(","),
];

const cities = [
  ..."Lisbon,Kraków,Osaka,Montréal,Reykjavík,São Paulo,Zürich,Nairobi,Hà Nội,Denver".split(","),
  ..."Malmö,Valparaíso,Cork,Tbilisi,Adelaide,東京".split(","),
];

const airports = "LIS KRK KIX YUL KEF GRU ZRH NBO HAN DEN MMX SCL ORK TBS ADL HND FRA AMS".split(" ");

const finishes = "walnut,brushed steel,indigo,recycled,hand-glazed,matte black,linen".split(",");

const goods = [
  ..."desk lamp,kettle,notebook set,rain jacket,standing desk,café cup,bicycle light".split(","),
  ..."wool blanket,chef's knife,water bottle,reading chair,travel adapter".split(","),
];

const studies = "seasonal,long-term,low-cost,regional,household,comparative".split(",");

const topics = [
  ..."battery recycling,tide power,heat pump adoption,urban tree cover,groundwater use".split(","),
  ..."night train demand,soil carbon,school meal programmes,naïve forecasting models".split(","),
];

const folders = ["src/orders", "src/session", "src/routes", "test/orders", "packages/client/src"];

const modules = "cart-total parse-address retry-queue token-cache page-cursor invoice-line".split(" ");
