/** An IAM policy document, as JSON spells it: one value or a list of them. */
export interface Policy {
  readonly Statement: readonly Statement[];
}

export interface Statement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: unknown;
  readonly Action: OneOrMore;
  readonly Resource?: OneOrMore;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore>>>>;
}

export type OneOrMore = string | readonly string[];

export interface Request {
  readonly action: string;
  readonly resource: string;
  /** Condition keys that the request carries; those with several values as lists. */
  readonly context?: Readonly<Record<string, OneOrMore>>;
}

/**
 * What IAM decides about a request: allowed if a statement allows it and none denies it.
 *
 * Knows the operators that our policies use, and throws for another rather than guess. Those of AWS differ from this in two
 * points that matter to nobody here: they have variables like `${aws:username}`, and keys of conditions in any case.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
export function isAllowed(policy: Policy, request: Request): boolean {
  const applying = policy.Statement.filter((statement) => applies(statement, request));
  return applying.length > 0 && applying.every(({ Effect }) => Effect === "Allow");
}

function applies(statement: Statement, { action, resource, context = {} }: Request): boolean {
  return (
    list(statement.Action).some((pattern) => like(pattern.toLowerCase(), action.toLowerCase())) &&
    list(statement.Resource ?? []).some((pattern) => like(pattern, resource)) &&
    Object.entries(statement.Condition ?? {}).every(([operator, tests]) =>
      Object.entries(tests).every(([key, wanted]) => holds(operator, list(wanted), context[key])),
    )
  );
}

/** Values of the policy are alternatives; of the request there is one, but under `ForAllValues`, where all must match. */
function holds(operator: string, wanted: readonly string[], found: OneOrMore | undefined): boolean {
  if (operator === "Null") return String(found === undefined) === wanted[0];
  const [, forAll, name = ""] = /^(ForAllValues:)?(\w+)$/.exec(operator) ?? [];
  const match = matchers[name];
  if (match === undefined) throw new Error(`this evaluator does not know the operator ${operator}`);
  const values = list(found ?? []);
  if (forAll === undefined && values.length > 1) throw new Error(`${operator} takes one value, the request has more`);
  // Of an empty set every member matches: that is how AWS reads ForAllValues, too.
  if (values.length === 0) return forAll !== undefined;
  return values.every((value) => wanted.some((pattern) => match(pattern, value)));
}

const matchers: Readonly<Record<string, (pattern: string, value: string) => boolean>> = {
  StringEquals: (pattern, value) => pattern === value,
  StringLike: like,
  Bool: (pattern, value) => pattern.toLowerCase() === value.toLowerCase(),
};

/** `*` stands for any characters, a slash too, `?` for one. */
function like(pattern: string, value: string): boolean {
  const source = pattern.replaceAll(/[*?]|[^*?]+/g, (part) => wildcards[part] ?? RegExp.escape(part));
  return new RegExp(`^${source}$`, "u").test(value);
}

const wildcards: Readonly<Record<string, string>> = { "*": "[^]*", "?": "[^]" };

export function list(value: OneOrMore): readonly string[] {
  return typeof value === "string" ? [value] : value;
}

/**
 * What a policy grants by a wildcard, as `action on resource`; nothing in a policy that grants by name.
 *
 * Fine are keys below a prefix of a bucket, and the streams of a log group: there, names are made at run time. So are
 * denials, which are the better the more they cover.
 */
export function wildcardsOf(policy: Policy): readonly string[] {
  return policy.Statement.filter(({ Effect }) => Effect === "Allow").flatMap((statement) =>
    list(statement.Action).flatMap((action) =>
      list(statement.Resource ?? [])
        .filter((resource) => /[*?]/.test(action) || (/[*?]/.test(resource) && !namesMadeAtRunTime.test(resource)))
        .map((resource) => `${action} on ${resource}`),
    ),
  );
}

const namesMadeAtRunTime = /^arn:aws:(?:s3:::[^*?/]+\/[^*?]+\/\*|logs:[^*?]+:\*)$/;
