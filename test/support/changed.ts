/** The target, but for some methods. */
export function changed<Target extends object>(target: Target, changes: Partial<Target>): Target {
  return new Proxy(target, {
    get(of, name) {
      const change: unknown = Reflect.get(changes, name);
      if (change !== undefined) return change;
      const value: unknown = Reflect.get(of, name);
      return typeof value === "function" ? (value.bind(of) as unknown) : value;
    },
  });
}
