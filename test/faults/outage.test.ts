import { describe, expect, it } from 'vitest';
import type { FluentForwardLogExporter } from '../../src/index.ts';
import { exporterFixture } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { logRecord, type Result } from '../support/harness.ts';
import { expectSoon } from './fault-case.ts';
import { ClientSockets, collectGarbage, Memory, resources } from './resource-usage.ts';

/** The default of maxInFlightBytes. */
const IN_FLIGHT_BYTES = 32 * 2 ** 20;
/** What the pool of buffers keeps. */
const POOLED_BYTES = 4 * 2 ** 20;
const MAX_BACKOFF_MILLIS = 5_000;

describe('a receiver that is down for ten minutes, while records keep coming', () => {
  const { listen, start } = exporterFixture();
  const RECORDS = 128;
  const WELL = 100;
  const BURST = 200;
  /** Made once, so that what grows is the exporter. */
  const batch = Array.from({ length: RECORDS }, (_, i) => logRecord(`${i} `.padEnd(1_000, '.')));

  /** Exports the batch, and counts what that comes to. */
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

    /** How many of many at once are taken, which is more than there is place for. */
    async taken(): Promise<number> {
      const before = this.counts.FLUENT_FORWARD_IN_FLIGHT_LIMIT;
      this.send(BURST);
      await settle();
      return BURST - (this.counts.FLUENT_FORWARD_IN_FLIGHT_LIMIT - before);
    }
  }

  it('costs what the bound on bytes in flight allows, is over soon after its end, and leaves nothing', async () => {
    const sockets = new ClientSockets();
    const receiver = await listen({ retain: false });
    const { port } = receiver;
    const { clock, exporter } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    const exports = new Exports(exporter);
    // A process that has worked for a while.
    for (let i = 1; i <= WELL; i++) {
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
      rssGrowth = Math.max(rssGrowth, memory.rssGrowth);
      timers.push(clock.timers);
      expect(sockets.open.length).toBeLessThanOrEqual(1);
    }
    expect(rssGrowth).toBeLessThanOrEqual(2 * IN_FLIGHT_BYTES);
    expect(exports.counts.FLUENT_FORWARD_IN_FLIGHT_LIMIT).toBeGreaterThan(5_000);
    expect(Math.max(...timers.slice(60))).toBeLessThanOrEqual(Math.max(...timers.slice(0, 60)));
    expect(resources()).toEqual(before);

    const back = await listen({ port, retain: false });
    const returnedAt = clock.now();
    while (back.messageCount === 0) await clock.advance(10);
    expect(clock.now() - returnedAt).toBeLessThanOrEqual(MAX_BACKOFF_MILLIS);
    await until(() => exports.settled === exports.called);
    // None lost, none twice.
    expect(back.entryCount).toBe((exports.counts.acknowledged - WELL) * RECORDS);
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
    expect([clock.timers, sockets.open.length]).toEqual([0, 0]);
    sockets.stop();
  });
});
