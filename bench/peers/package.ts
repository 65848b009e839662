/**
 * Imports a package of bench/node_modules. Peers describe the few calls they make themselves, so that the rest of the
 * repository is checked without the packages being there.
 */
export async function load<T>(name: string): Promise<T> {
  return (await import(name)) as T;
}
