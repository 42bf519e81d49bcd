import { describe, expect, it } from 'vitest';
import type { FluentForwardLogExporter } from '../../src/index.ts';
import { advanceUntil, exporterFixture } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { logRecord, type Result } from '../support/harness.ts';
import { freePort } from '../support/receiver-process.mjs';
import { expectSoon } from './fault-case.ts';
import { ClientSockets, collectGarbage, Memory, resources } from './resource-usage.ts';

/** The default of maxInFlightBytes. */
const IN_FLIGHT_BYTES = 32 * 2 ** 20;
/** The bytes that the pool of buffers keeps. */
const POOLED_BYTES = 4 * 2 ** 20;
const MAX_BACKOFF_MILLIS = 5_000;

describe('an outage of ten minutes', () => {
  const { listen, start } = exporterFixture();
  const RECORDS = 128;
  const BEFORE = 100;
  const BURST = 200;
  /** Made once, so that only the exporter can grow. */
  const batch = Array.from({ length: RECORDS }, (_, i) => logRecord(`${i} `.padEnd(1_000, '.')));

  /** Exports the batch, and counts the results. */
  class Exports {
    called = 0;
    settled = 0;
    readonly counts = { acknowledged: 0, FLUENT_FORWARD_IN_FLIGHT_LIMIT: 0, FLUENT_FORWARD_TIMEOUT: 0 };
    readonly #exporter: FluentForwardLogExporter;

    constructor(exporter: FluentForwardLogExporter) {
      this.#exporter = exporter;
    }

    send(count: number): void {
      this.called += count;
      for (let i = 0; i < count; i++) {
        this.#exporter.export(batch, (result) => {
          this.settled++;
          this.counts[((result as Result).error?.code ?? 'acknowledged') as keyof typeof this.counts]++;
        });
      }
    }

    /** Exports more at once than there is room for, and returns how many are taken. */
    async taken(): Promise<number> {
      const before = this.counts.FLUENT_FORWARD_IN_FLIGHT_LIMIT;
      this.send(BURST);
      await settle();
      return BURST - (this.counts.FLUENT_FORWARD_IN_FLIGHT_LIMIT - before);
    }
  }

  it('the exporter bounds its memory in an outage, resends within the longest backoff, and leaves nothing behind', async () => {
    const sockets = new ClientSockets();
    const port = await freePort();
    const receiver = await listen({ port, retain: false });
    const harness = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    const { clock, exporter } = harness;
    const exports = new Exports(exporter);
    // A process that has worked for a while.
    for (let i = 1; i <= BEFORE; i++) {
      exports.send(1);
      await until(() => exports.settled === i);
    }
    await receiver.close();
    await until(() => sockets.open.length === 0);

    const memory = new Memory();
    const before = resources();
    const takenAtFirst = await exports.taken();
    let rssGrowth = 0;
    const timers: number[] = [];
    for (let second = 0; second < 600; second++) {
      exports.send(20);
      await clock.advance(1_000);
      await until(() => !sockets.isDialling);
      // Now and then, as it takes long; without it, a slow machine's garbage would count.
      if (second % 10 === 0) {
        collectGarbage();
        rssGrowth = Math.max(rssGrowth, memory.rssGrowth);
      }
      timers.push(clock.timers);
      expect(sockets.open.length).toBeLessThanOrEqual(1);
    }
    expect(rssGrowth).toBeLessThanOrEqual(2 * IN_FLIGHT_BYTES);
    expect(exports.counts.FLUENT_FORWARD_IN_FLIGHT_LIMIT).toBeGreaterThan(5_000);
    expect(Math.max(...timers.slice(60))).toBeLessThanOrEqual(Math.max(...timers.slice(0, 60)));
    await expectSoon(resources, before);

    const back = await listen({ port, retain: false });
    const returnedAt = clock.now();
    await advanceUntil(harness, 10, () => back.messageCount > 0);
    expect(clock.now() - returnedAt).toBeLessThanOrEqual(MAX_BACKOFF_MILLIS);
    await until(() => exports.settled === exports.called);
    // None lost, none twice.
    expect(back.entryCount).toBe((exports.counts.acknowledged - BEFORE) * RECORDS);
    expect(back.entryCount).toBeGreaterThan(0);

    const areBuffersBack = () => {
      collectGarbage();
      return memory.bufferGrowth <= POOLED_BYTES;
    };
    await expectSoon(areBuffersBack, true);
    back.messageFaults = () => ({ kind: 'withhold' });
    expect(await exports.taken()).toBe(takenAtFirst);
    await clock.advance(25_000);
    await exporter.shutdown();
    expect(exports.settled).toBe(exports.called);
    await expectSoon(() => [clock.timers, sockets.open.length], [0, 0]);
    sockets.stop();
  });
});
