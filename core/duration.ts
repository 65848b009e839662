const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration as people give it, such as `12h` or `30d`, in milliseconds; `undefined` where it is none. */
export function durationMs(text: string): number | undefined {
  const [, number = "", unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const unitOf = unitMs[unit];
  return unitOf === undefined ? undefined : Number(number) * unitOf;
}
