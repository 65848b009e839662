import { limits } from "../limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { KeyStore } from "../ports/key-store.ts";
import type { AccessKey } from "./access-key.ts";

interface TenantKeys {
  readonly askedMs: number;
  readonly byId: ReadonlyMap<string, AccessKey>;
}

/**
 * Keys as they were at most `limits.keyCacheMsMax` ago: so long may a key still open what it no longer should.
 *
 * It keeps all keys of a tenant at once, and so knows of wrong ids too: a flood of them costs one look-up a tenant and
 * `limits.keyRecheckMs`, and one for each tenant that somebody made up. Tenants without keys have a place of their own,
 * where a flood of them displaces nobody else.
 */
export class KeyCache {
  readonly #store: Pick<KeyStore, "list">;
  readonly #clock: Clock;
  /** Both are oldest look-up first. */
  readonly #known = new Map<string, TenantKeys>();
  readonly #empty = new Map<string, TenantKeys>();
  readonly #asking = new Map<string, Promise<TenantKeys>>();
  #keysKnown = 0;

  constructor(ports: { readonly keys: Pick<KeyStore, "list">; readonly clock: Clock }) {
    this.#store = ports.keys;
    this.#clock = ports.clock;
  }

  /** Cost: nothing while the tenant is known, else one look-up, which all who wait for it share. */
  async find(tenant: string, id: string): Promise<AccessKey | undefined> {
    const known = this.#known.get(tenant) ?? this.#empty.get(tenant);
    if (known !== undefined) {
      const ageMs = this.#clock.nowMs() - known.askedMs;
      const key = known.byId.get(id);
      // An age below 0 comes from a clock that was set back, and says nothing.
      if (ageMs >= 0 && ageMs < (key ? limits.keyCacheMsMax : limits.keyRecheckMs)) return key;
    }
    return (await this.#ask(tenant)).byId.get(id);
  }

  #ask(tenant: string): Promise<TenantKeys> {
    const asking = this.#asking.get(tenant) ?? this.#look(tenant).finally(() => this.#asking.delete(tenant));
    this.#asking.set(tenant, asking);
    return asking;
  }

  async #look(tenant: string): Promise<TenantKeys> {
    // Before the look-up: what changes while it is under way may be missing from its answer.
    const askedMs = this.#clock.nowMs();
    const { keys } = await this.#store.list(tenant);
    const found = { askedMs, byId: new Map(keys.map((key) => [key.id, key])) };
    this.#forget(tenant);
    (keys.length > 0 ? this.#known : this.#empty).set(tenant, found);
    this.#keysKnown += keys.length;
    while (this.#keysKnown > limits.keysCachedMax) this.#forget(this.#known.keys().next().value ?? "");
    if (this.#empty.size > limits.keylessTenantsCachedMax) this.#forget(this.#empty.keys().next().value ?? "");
    return found;
  }

  #forget(tenant: string): void {
    this.#keysKnown -= this.#known.get(tenant)?.byId.size ?? 0;
    this.#known.delete(tenant);
    this.#empty.delete(tenant);
  }
}
