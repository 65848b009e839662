/** Children in their order; a list is a repeated element, `undefined` none. */
export interface XmlChildren {
  readonly [name: string]: XmlValue | readonly XmlValue[] | undefined;
}

type XmlValue = string | number | boolean | XmlChildren;

/** A document as S3 sends it, without attributes. */
export function xmlDocument(root: string, children: XmlChildren): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element(root, children)}`;
}

function element(name: string, value: XmlValue): string {
  return `<${name}>${typeof value === "object" ? elements(value) : escaped(String(value))}</${name}>`;
}

function elements(children: XmlChildren): string {
  return Object.entries(children)
    .flatMap(([name, value]) => [value].flat().flatMap((one) => (one === undefined ? [] : [element(name, one)])))
    .join("");
}

/** Also control characters: a line break would be folded by the reader. */
function escaped(text: string): string {
  // oxlint-disable-next-line no-control-regex -- S3 writes control characters of keys as references.
  return text.replace(/[&<>"\u0000-\u001f]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The contents of all elements of a name, in order; what S3's clients send has no attributes but `xmlns`, no CDATA. */
export function xmlContents(xml: string, name: string): readonly string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?: [^>]*)?>([^]*?)</${name}>`, "g"))].map(([, content = ""]) => content);
}

/** The text of the first element of a name, unescaped. */
export function xmlText(xml: string, name: string): string | undefined {
  const [content] = xmlContents(xml, name);
  return content?.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal, hex, named: string) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(String(hex), 16));
    return namedCharacters[named] ?? whole;
  });
}

const namedCharacters: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
