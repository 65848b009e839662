/**
 * What may differ from one deployment to the next. Everything else is the same in every stage, so that what was tried in
 * one stage is what runs in production.
 */
export interface Settings {
  /** Keeps bucket and table when the stage is removed, and protects the stage from being removed at all. */
  readonly production: boolean;
  /** Alarms and the dashboard cost a few dollars a month: production has them, and any stage that names an address. */
  readonly watched: boolean;
  /** Where alarms are sent. Without one they change state and tell nobody. */
  readonly alarmEmail?: string;
  /** Requests served at the same time, at most; without it, as many as the account has left. It caps the bill. */
  readonly reservedConcurrency?: number;
  /** Origins whose pages may call the API and use presigned URLs. None unless named. */
  readonly corsOrigins: readonly string[];
  /** Attributes that payloads are found by, with commas between: chosen before the first deployment, since the table keeps them. */
  readonly indexedAttributes?: string;
  /** How long payloads are kept that say nothing themselves, such as 30d; for ever unless given. */
  readonly retention?: string;
  /** How long those of classes are kept, such as debug=7d,audit=0. */
  readonly retentionClasses?: string;
}

/**
 * Reads the settings of a stage from the variables that SST has loaded from `.env` and `.env.<stage>`.
 *
 * @throws {Error} naming the variable, what it should be and what it is: a deployment stops before it changes anything.
 */
export function settingsOf(stage: string, environment: Readonly<Record<string, string | undefined>>): Settings {
  const production = stage === "production";
  const alarmEmail = read("PAYLODE_ALARM_EMAIL", "one address", /^[^\s@,]+@[^\s@,]+\.[^\s@,]+$/);
  const reserved = read(
    "PAYLODE_RESERVED_CONCURRENCY",
    "a whole number of requests, 1–100000",
    /^[1-9]\d{0,4}$|^100000$/,
  );
  const origins = read(
    "PAYLODE_CORS_ORIGINS",
    "origins with commas between, like https://app.example",
    /^https?:\/\/[^\s,/*]+(?:,https?:\/\/[^\s,/*]+)*$/,
  );
  const indexedAttributes = read(
    "PAYLODE_INDEXED_ATTRIBUTES",
    "names of attributes with commas between, like user,model",
    /^[^\s,]+(?:,[^\s,]+){0,31}$/,
  );
  const retention = read("PAYLODE_RETENTION", "a duration like 30d or 12h, or 0", /^(?:\d{1,6}[smhd]|0)$/);
  const retentionClasses = read(
    "PAYLODE_RETENTION_CLASSES",
    "classes with commas between, each with its duration, like debug=7d,audit=0",
    /^[\w.-]{1,63}=(?:\d{1,6}[smhd]|0)(?:,[\w.-]{1,63}=(?:\d{1,6}[smhd]|0))*$/,
  );
  return {
    production,
    watched: production || alarmEmail !== undefined,
    ...(alarmEmail !== undefined && { alarmEmail }),
    ...(reserved !== undefined && { reservedConcurrency: Number(reserved) }),
    corsOrigins: origins?.split(",") ?? [],
    ...(indexedAttributes !== undefined && { indexedAttributes }),
    ...(retention !== undefined && { retention }),
    ...(retentionClasses !== undefined && { retentionClasses }),
  };

  function read(name: string, wanted: string, shape: RegExp): string | undefined {
    const value = environment[name]?.trim();
    if (value === undefined || value === "") return undefined;
    if (!shape.test(value)) throw new Error(`${name} must be ${wanted}; got ${JSON.stringify(value)}`);
    return value;
  }
}
