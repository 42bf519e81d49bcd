import { AsyncLocalStorage } from 'node:async_hooks';
import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { isTracingSuppressed } from '@opentelemetry/core';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { afterEach, describe, expect, it } from 'vitest';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import type { LayoutName } from '../../src/encode/layout/layouts.ts';
import { TooLargeError } from '../../src/encode/writer.ts';
import { MemoryBound } from '../../src/pipeline/memory.ts';
import { OpenChunks } from '../../src/pipeline/open-chunks.ts';
import type { SeverityCounts } from '../../src/severity.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { decodeChunk, layoutWith, record } from '../support/records.ts';

const DELAY_MILLIS = 200;

interface FixtureOptions {
  readonly layout?: LayoutName;
  readonly limitBytes?: number;
  readonly maxChunkBytes?: number;
  readonly ceilingBytes?: number;
  readonly pool?: BufferPool;
  readonly onSealed?: () => void;
}

/** Open chunks, and what comes of them. Sealed chunks are released at once. */
function openChunks(options: FixtureOptions = {}) {
  const { layout = 'default', limitBytes = 32 * 2 ** 20, maxChunkBytes = 1_000_000, pool = new BufferPool() } = options;
  const { ceilingBytes = 6_000_000 } = options;
  const clock = new FakeClock();
  const memory = new MemoryBound(limitBytes);
  const sealed: { readonly tag: string; readonly bodies: unknown[]; readonly bytes: number }[] = [];
  const lost: [records: string, error: unknown][] = [];
  const chunks = new OpenChunks({
    layout: layoutWith({ layout, maxStringBytes: 6_000_000 }),
    pool,
    limits: { maxChunkBytes, ceilingBytes },
    memory,
    clock,
    scheduledDelayMillis: DELAY_MILLIS,
    onSealed: (chunk: Chunk) => {
      const { entries } = decodeChunk(chunk);
      const bodies = entries.map(({ record: content }) => content.message ?? content.log);
      sealed.push({ tag: chunk.tag, bodies, bytes: chunk.bytes.length });
      chunk.release();
      options.onSealed?.();
    },
    onLost: (severities: SeverityCounts, error: unknown) => lost.push([String(severities), error]),
  });
  const add = (tag: string, fields: Parameters<typeof record>[0] = {}) => {
    const from: ReadableLogRecord = record({ severityNumber: 9, ...fields });
    return chunks.add(tag, from, from.severityNumber, from.resource);
  };
  const tags = () => sealed.map(({ tag }) => tag);
  return { chunks, clock, memory, sealed, lost, add, tags };
}

/** Two of them fill a chunk. */
const large = 'x'.repeat(460_000);

describe('the size of an open chunk', () => {
  it('a chunk is sealed in a later turn than the one in which it reached its size', async () => {
    const { add, clock, sealed, tags } = openChunks();
    add('a', { body: large });
    add('b', { body: 'small' });
    await settle();
    expect(tags()).toEqual([]);
    add('a', { body: large });
    expect(tags()).toEqual([]);
    await Promise.resolve();
    expect(tags()).toEqual([]);
    await settle();
    expect(tags()).toEqual(['a']);
    expect(sealed[0]?.bodies).toHaveLength(2);
    expect(clock.now()).toBe(0);
  });

  it('each chunk that is full is sealed in a turn of its own', async () => {
    const turns: number[] = [];
    let turn = 0;
    const { add } = openChunks({ onSealed: () => turns.push(turn) });
    for (let i = 0; i < 6; i++) add('a', { body: large });
    while (turns.length < 3) {
      await new Promise((done) => setImmediate(done));
      turn++;
    }
    expect(new Set(turns).size).toBe(3);
  });

  it('a chunk uses at most a sixteenth of the memory bound', async () => {
    const { add, sealed } = openChunks({ limitBytes: 160_000 });
    for (let i = 0; i < 100; i++) add('a', { body: 'x'.repeat(900) });
    await settle();
    expect(sealed.length).toBeGreaterThan(5);
    for (const { bytes } of sealed) {
      expect(bytes).toBeGreaterThanOrEqual(8_800);
      expect(bytes).toBeLessThan(10_000);
    }
  });

  it('a record that does not fit is the first one of the next chunk, and none is lost', async () => {
    const { add, chunks, sealed } = openChunks({ maxChunkBytes: 5_000 });
    const bodies = Array.from({ length: 40 }, (_, i) => `${i} ${'x'.repeat((i * 331) % 3_000)}`);
    for (const body of bodies) add('a', { body });
    await chunks.sealAll();
    expect(sealed.flatMap((each) => each.bodies)).toEqual(bodies);
    expect(sealed.every(({ bytes }) => bytes <= 5_000)).toBe(true);
  });
});

describe('the age of an open chunk', () => {
  it('each chunk is sealed when it is scheduledDelayMillis old', async () => {
    const { add, clock, tags } = openChunks();
    add('a');
    await clock.advance(150);
    add('b');
    add('a');
    await clock.advance(49);
    expect(tags()).toEqual([]);
    await clock.advance(1);
    expect(tags()).toEqual(['a']);
    await clock.advance(149);
    expect(tags()).toEqual(['a']);
    await clock.advance(1);
    expect(tags()).toEqual(['a', 'b']);
    expect(clock.timers).toBe(0);
  });

  it('a chunk without records is not sealed', async () => {
    const { add, clock, memory, tags } = openChunks();
    expect(() => add('a', { body: 'x'.repeat(6_000_000) })).toThrow(TooLargeError);
    await clock.advance(DELAY_MILLIS);
    expect([tags(), memory.usedBytes, clock.timers]).toEqual([[], 0, 0]);
  });

  it('chunks are sealed without the async context of the code that emits', async () => {
    const storage = new AsyncLocalStorage<string>();
    const stores: unknown[] = [];
    const { add, clock } = openChunks({ onSealed: () => stores.push(storage.getStore()) });
    storage.run('a request', () => {
      add('a', { body: large });
      add('a', { body: large });
      add('b');
    });
    await clock.advance(DELAY_MILLIS);
    expect(stores).toEqual([undefined, undefined]);
  });
});

describe('tracing', () => {
  afterEach(() => context.disable());

  it('chunks are sealed untraced, also if the context manager was registered later', async () => {
    const isSuppressed: boolean[] = [];
    const { add, clock } = openChunks({ onSealed: () => isSuppressed.push(isTracingSuppressed(context.active())) });
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    add('a', { body: large });
    add('a', { body: large });
    add('b');
    await clock.advance(DELAY_MILLIS);
    expect(isSuppressed).toEqual([true, true]);
  });
});

describe('sealing all open chunks', () => {
  it('a flush seals what is open now and waits for nothing that comes later', async () => {
    const { add, chunks, clock, sealed } = openChunks();
    for (const tag of ['a', 'b']) add(tag, { body: 'before' });
    const done = chunks.sealAll();
    add('a', { body: 'after' });
    expect(sealed).toEqual([]);
    await done;
    expect(sealed.map(({ tag, bodies }) => [tag, bodies])).toEqual([
      ['a', ['before']],
      ['b', ['before']],
    ]);
    await clock.advance(DELAY_MILLIS);
    expect(sealed[2]?.bodies).toEqual(['after']);
  });

  it('a flush waits for chunks that were closed before', async () => {
    const { add, chunks, tags } = openChunks();
    for (let i = 0; i < 4; i++) add(`tag${i >> 1}`, { body: large });
    await chunks.sealAll();
    expect(tags()).toEqual(['tag0', 'tag1']);
    await chunks.sealAll();
    expect(tags()).toHaveLength(2);
  });
});

describe('the number of open chunks', () => {
  it('the 65th tag closes the oldest chunk only', async () => {
    const { add, tags } = openChunks();
    for (let i = 0; i < 64; i++) add(`tag${i}`);
    add('tag0');
    await settle();
    expect(tags()).toEqual([]);
    add('tag64');
    await settle();
    expect(tags()).toEqual(['tag0']);
  });

  it('each group of the layout otlp counts', async () => {
    const { add, tags } = openChunks({ layout: 'otlp' });
    for (let i = 0; i < 60; i++) add('a', { instrumentationScope: { name: `scope ${i}` } });
    for (let i = 0; i < 4; i++) add('b', { instrumentationScope: { name: `scope ${i}` } });
    for (let i = 0; i < 60; i++) add('a', { instrumentationScope: { name: `scope ${i}` } });
    await settle();
    expect(tags()).toEqual([]);
    add('b', { instrumentationScope: { name: 'one more' } });
    await settle();
    expect(tags()).toEqual(['a']);
  });
});

describe('the memory of open chunks', () => {
  it.each<LayoutName>(['default', 'otlp'])(
    'the memory of chunks counts while they are open, and not afterwards: %s',
    async (layout) => {
      const { add, chunks, memory } = openChunks({ layout, maxChunkBytes: 20_000, ceilingBytes: 30_000 });
      for (let i = 0; i < 200; i++) {
        const body = 'x'.repeat((i * 331) % 3_000);
        add(`tag${i % 7}`, { body, instrumentationScope: { name: `scope ${i % 3}` } });
        const before = memory.usedBytes;
        expect(() => add(`tag${i % 9}`, { body: large })).toThrow(TooLargeError);
        expect(memory.usedBytes).toBeGreaterThanOrEqual(before);
      }
      expect(memory.usedBytes).toBeGreaterThan(200_000);
      await chunks.sealAll();
      expect(memory.usedBytes).toBe(0);
    },
  );

  it('discarded chunks free their memory, and are not sealed', async () => {
    const { add, chunks, clock, memory, tags } = openChunks();
    for (let i = 0; i < 2; i++) add('full', { body: large, severityNumber: 17 });
    add('a');
    const discarded = chunks.discard();
    expect(discarded.map(String)).toEqual(['ERROR 2', 'INFO 1']);
    expect(memory.usedBytes).toBe(0);
    await clock.advance(DELAY_MILLIS);
    expect([tags(), clock.timers]).toEqual([[], 0]);
  });

  it('a chunk that cannot be sealed is reported as lost, and frees its memory', async () => {
    class FailingPool extends BufferPool {
      isFailing = false;
      override acquire(bytes: number): Buffer {
        if (this.isFailing) throw new RangeError('no memory');
        return super.acquire(bytes);
      }
    }
    const pool = new FailingPool();
    const { add, clock, lost, memory, tags } = openChunks({ layout: 'otlp', pool });
    for (let i = 0; i < 3; i++) add('a', { body: 'x'.repeat(900), instrumentationScope: { name: `scope ${i}` } });
    pool.isFailing = true;
    await clock.advance(DELAY_MILLIS);
    expect(lost).toEqual([['INFO 3', new RangeError('no memory')]]);
    expect([tags(), memory.usedBytes]).toEqual([[], 0]);
  });
});
