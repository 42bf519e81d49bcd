import { setTimeout as sleep } from 'node:timers/promises';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';
// Not public: with it goes the exporter's source of chance, which is seeded here.
import { systemClock } from '../../dist/esm/clock.js';
import { randomSources } from '../support/random.mjs';
import { Ledger } from './ledger.mjs';
import { ReceiverTier } from './receiver-tier.mjs';

const TICK_MILLIS = 10;
const MAX_BURST_MILLIS = 250;

/** Services that log at the same pace, each with an exporter of its own, and the receivers that they share. */
export class Fleet {
  ledger = new Ledger();
  tier;
  #providers;
  #loggers;
  #turn = 0;

  /**
   * @param services how many
   * @param binMillis the bins in which the receivers' load is counted
   * @param exporterFor makes a service's exporter
   * @param processorFor makes the processor in front of it
   */
  constructor({ services, seed, binMillis, exporterFor, processorFor }) {
    this.tier = new ReceiverTier({ binMillis, onRecord: ({ body }) => this.ledger.received(body) });
    this.#providers = randomSources(seed, services).map((random) => {
      const exporter = exporterFor({ resolver: this.tier.resolver, random });
      return new LoggerProvider({ processors: [processorFor(new LedgerExporter(exporter, this.ledger))] });
    });
    this.#loggers = this.#providers.map((provider) => provider.getLogger('bench'));
  }

  /**
   * Has each service emit at an even pace. What a stall of the process has kept back is left out: made
   * up for in a burst, it would be another load.
   */
  async emit({ recordsPerSecond, millis }) {
    const recordsPerMilli = (recordsPerSecond * this.#loggers.length) / 1_000;
    const end = performance.now() + millis;
    let due = 0;
    for (let last = performance.now(); last < end; ) {
      await sleep(TICK_MILLIS);
      const now = Math.min(end, performance.now());
      due += recordsPerMilli * Math.min(MAX_BURST_MILLIS, now - last);
      last = now;
      for (; due >= 1; due--) this.#next().emit({ body: this.ledger.emitted() });
    }
  }

  /** One service after the other. */
  #next() {
    this.#turn = (this.#turn + 1) % this.#loggers.length;
    return this.#loggers[this.#turn];
  }

  async shutdown() {
    await Promise.all(this.#providers.map((provider) => provider.shutdown()));
    await this.tier.close();
  }
}

export function seededExporter({ resolver, random, ...options }) {
  return new FluentForwardLogExporter(
    { endpoint: ReceiverTier.NAME, resolver, ...options },
    { clock: systemClock, random },
  );
}

/** Passes all on to the exporter, and tells the ledger. */
class LedgerExporter {
  #exporter;
  #ledger;

  constructor(exporter, ledger) {
    this.#exporter = exporter;
    this.#ledger = ledger;
  }

  export(records, callback) {
    const numbers = records.map(({ body }) => body);
    for (const number of numbers) this.#ledger.exported(number);
    this.#exporter.export(records, (result) => {
      if (result.code === 0) for (const number of numbers) this.#ledger.acknowledged(number);
      callback(result);
    });
  }

  forceFlush() {
    return this.#exporter.forceFlush();
  }

  shutdown() {
    return this.#exporter.shutdown();
  }
}
