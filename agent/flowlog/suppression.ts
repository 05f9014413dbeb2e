/**
 * How many packets a rule matched that its rate limit did not log: what the rule's counter says, less what was logged. Counter values and
 * logged packets in, suppressed packets out; each is told once. Packets still on their way to us count when they are late, so never
 * too many are told. Refuses to know netlink and the clock.
 */

/** Packets by counter name. */
export type CounterPackets = ReadonlyMap<string, bigint>;

interface Account {
  /** The kernel's value when it was read last; a smaller one is a new counter of the same name. */
  value: bigint;
  /** Counted and neither logged nor told yet; below 0 when records came before the counter was read. */
  open: number;
}

export class Suppression {
  readonly #accounts = new Map<string, Account>();
  /** Told so far. */
  total = 0;

  /** What the counters say when logging begins: what was before is nobody's. */
  begin(values: CounterPackets): void {
    this.#accounts.clear();
    for (const [name, value] of values) this.#accounts.set(name, { value, open: 0 });
  }

  /** Takes newer values, then what was logged by counter since the last call; returns what to tell, by counter. */
  take(values: CounterPackets, logged: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
    for (const [name, value] of values) this.#count(name, value);
    for (const name of this.#accounts.keys()) if (!values.has(name)) this.#accounts.delete(name);
    const suppressed = new Map<string, number>();
    for (const [name, packets] of logged) {
      const account = this.#accounts.get(name);
      if (account === undefined) continue;
      account.open -= packets;
      if (account.open <= 0) continue;
      suppressed.set(name, account.open);
      this.total += account.open;
      account.open = 0;
    }
    return suppressed;
  }

  #count(name: string, value: bigint): void {
    const account = this.#accounts.get(name);
    if (account === undefined) {
      this.#accounts.set(name, { value, open: Number(value) });
    } else if (value < account.value) {
      account.value = value;
      account.open = Number(value);
    } else {
      account.open += Number(value - account.value);
      account.value = value;
    }
  }
}
