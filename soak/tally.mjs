import { createHistogram } from 'node:perf_hooks';

/** What became of the records; each carries its number in `soak.sequence`. */
export class Tally {
  emitted = 0;
  /** In microseconds, from emit until as many records were acknowledged as were emitted by then. */
  latency = createHistogram();
  peakRss = 0;
  peakHeldBytes = 0;
  /** The statistics whose numbers do not add up, if there were any. */
  unaccounted;
  #processor;
  #arrivals;
  /** How many records were emitted by when, of those that are not all acknowledged. */
  #waiting = [];

  constructor(processor, records) {
    this.#processor = processor;
    this.#arrivals = new Uint8Array(records);
    this.startRss = this.#sampleRss();
  }

  get stats() {
    return this.#processor.stats();
  }

  /** A record's attribute. */
  next() {
    return { 'soak.sequence': this.emitted++ };
  }

  /** Looks at the processor. */
  sample() {
    const { stats } = this;
    this.peakHeldBytes = Math.max(this.peakHeldBytes, stats.held.bytes);
    if (!isAccounted(stats) || stats.emitted !== this.emitted) this.unaccounted ??= stats;
    this.#sampleLatency(stats.acknowledged.records);
    return this.#sampleRss();
  }

  #sampleLatency(acknowledged) {
    const now = performance.now();
    if (this.emitted > (this.#waiting.at(-1)?.emitted ?? acknowledged)) {
      this.#waiting.push({ emitted: this.emitted, at: now });
    }
    while (this.#waiting[0]?.emitted <= acknowledged) {
      this.latency.record(Math.max(1, Math.round(1_000 * (now - this.#waiting.shift().at))));
    }
  }

  #sampleRss() {
    const rss = process.memoryUsage.rss();
    this.peakRss = Math.max(this.peakRss, rss);
    return rss;
  }

  /** A record as a receiver has it. */
  arrived({ attributes }) {
    this.#arrivals[attributes['soak.sequence']]++;
  }

  get received() {
    return this.#arrivals.reduce((sum, times) => sum + (times > 0 ? 1 : 0), 0);
  }

  get duplicated() {
    return this.#arrivals.reduce((sum, times) => sum + (times > 1 ? 1 : 0), 0);
  }
}

export function droppedOf({ dropped }) {
  return Object.values(dropped).reduce((sum, records) => sum + records, 0);
}

function isAccounted(stats) {
  const { emitted, recovered, acknowledged, filtered, held, spooled } = stats;
  return emitted + recovered === acknowledged.records + filtered + droppedOf(stats) + held.records + spooled.records;
}
