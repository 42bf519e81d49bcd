/** What became of a run's records, which are numbered. */
export class Ledger {
  #emittedAt = [];
  #exportedAt = [];
  #acknowledgedAt = [];
  #arrivals = [];

  /** Gives the next record its number. */
  emitted() {
    return this.#emittedAt.push(performance.now()) - 1;
  }

  exported(number) {
    this.#exportedAt[number] = performance.now();
  }

  acknowledged(number) {
    this.#acknowledgedAt[number] = performance.now();
  }

  received(number) {
    this.#arrivals[number] = (this.#arrivals[number] ?? 0) + 1;
  }

  get totals() {
    const totals = { emitted: this.#emittedAt.length, acknowledged: 0, lost: 0, duplicated: 0 };
    for (const number of this.#emittedAt.keys()) {
      const isAcknowledged = this.#acknowledgedAt[number] !== undefined;
      const arrivals = this.#arrivals[number] ?? 0;
      if (isAcknowledged) totals.acknowledged++;
      if (isAcknowledged && arrivals === 0) totals.lost++;
      if (arrivals > 1) totals.duplicated++;
    }
    return totals;
  }

  /** When each acknowledged record was emitted, and how long its ack took from there and from its export. */
  get delays() {
    return this.#acknowledgedAt.map((at, number) => ({
      emittedAt: this.#emittedAt[number],
      fromEmit: at - this.#emittedAt[number],
      fromExport: at - this.#exportedAt[number],
    }));
  }
}
