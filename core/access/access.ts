import type { Clock } from "../ports/clock.ts";
import type { Digest } from "../ports/digest.ts";
import type { KeyStore } from "../ports/key-store.ts";
import type { Random } from "../ports/random.ts";
import type { UsageLedger } from "../ports/usage-ledger.ts";
import { Authenticator } from "./authenticator.ts";
import { KeyCache } from "./key-cache.ts";
import { KeyKeeper } from "./key-keeper.ts";
import { QuotaMeter } from "./quota-meter.ts";

export interface AccessPorts {
  readonly keys: KeyStore;
  readonly ledger: UsageLedger;
  readonly clock: Clock;
  readonly random: Random;
  readonly digest: Digest;
}

/** Who may come in, how much they may use, and who says so. */
export interface Access {
  readonly authenticator: Authenticator;
  readonly meter: QuotaMeter;
  readonly keeper: KeyKeeper;
}

export function accessOver(ports: AccessPorts): Access {
  return {
    authenticator: new Authenticator({ ...ports, cache: new KeyCache(ports) }),
    meter: new QuotaMeter(ports),
    keeper: new KeyKeeper(ports),
  };
}
