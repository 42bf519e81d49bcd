import { createHistogram } from 'node:perf_hooks';

/** What became of the records; each carries its number in `soak.sequence`. */
export class Tally {
  emitted = 0;
  /** Those that the processor has handed to the exporter. */
  exported = 0;
  acknowledged = 0;
  /** Records of exports that failed, by the error's code. */
  failures = new Map();
  /** The first failed export's. */
  error;
  /** From emit to ack, in microseconds. */
  latency = createHistogram();
  peakRss = 0;
  #isAcknowledged;
  #arrivals;

  constructor(records) {
    this.#isAcknowledged = new Uint8Array(records);
    this.#arrivals = new Uint8Array(records);
    this.startRss = this.sampleRss();
  }

  /** A record's attributes. */
  next() {
    return { 'soak.sequence': this.emitted++, 'soak.emitted_at': performance.now() };
  }

  settle(records, { code, error }) {
    if (code !== 0) {
      const failed = records.length - (error?.acknowledgedRecords ?? 0);
      this.acknowledged += records.length - failed;
      this.failures.set(error?.code, (this.failures.get(error?.code) ?? 0) + failed);
      this.error ??= error;
      return;
    }
    const now = performance.now();
    this.acknowledged += records.length;
    for (const { attributes } of records) {
      this.#isAcknowledged[attributes['soak.sequence']] = 1;
      this.latency.record(Math.max(1, Math.round(1_000 * (now - attributes['soak.emitted_at']))));
    }
  }

  /** A record as a receiver has it. */
  arrived({ attributes }) {
    this.#arrivals[attributes['soak.sequence']]++;
  }

  sampleRss() {
    const rss = process.memoryUsage.rss();
    this.peakRss = Math.max(this.peakRss, rss);
    return rss;
  }

  get failed() {
    return [...this.failures.values()].reduce((sum, records) => sum + records, 0);
  }

  /** Records whose export has no result. */
  get pending() {
    return this.exported - this.acknowledged - this.failed;
  }

  /** What the processor had no room for, once it has handed over all that it took. */
  get dropped() {
    return this.emitted - this.exported;
  }

  get received() {
    return this.#arrivals.reduce((sum, times) => sum + (times > 0 ? 1 : 0), 0);
  }

  /** Records that were acknowledged and arrived nowhere. */
  get lost() {
    return this.#isAcknowledged.reduce((sum, flag, i) => sum + (flag === 1 && this.#arrivals[i] === 0 ? 1 : 0), 0);
  }

  get duplicated() {
    return this.#arrivals.reduce((sum, times) => sum + (times > 1 ? 1 : 0), 0);
  }
}
