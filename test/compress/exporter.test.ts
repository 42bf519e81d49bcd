import { describe, expect, it, vi } from 'vitest';
import { FluentForwardLogExporter } from '../../src/index.ts';
import { occupyThreads } from '../support/busy-threads.ts';
import { disconnected, exporterFixture, textOf } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { exportBodies } from '../support/harness.ts';

const { listen, start, warnings } = exporterFixture();

const COMPRESSIBLE = 'compressible '.repeat(1_000);
const GZIP = { compression: 'gzip' } as const;

describe('compression', () => {
  it('the same entries arrive in fewer bytes with compression', async () => {
    const receiver = await listen();
    const plain = start({ endpoint: receiver.endpoint });
    const compressing = start({ endpoint: receiver.endpoint, ...GZIP });
    expect(await plain.send(COMPRESSIBLE, 'b')).toEqual({ code: 0 });
    expect(await compressing.send(COMPRESSIBLE, 'b')).toEqual({ code: 0 });
    const [raw, compressed] = receiver.messages;
    expect(compressed).toMatchObject({
      mode: 'compressed',
      tag: raw?.tag,
      entries: raw?.entries,
      option: { size: 2, chunk: compressed?.chunk, compressed: 'gzip' },
    });
    expect(compressed?.bytes).toBeLessThan((raw?.bytes ?? 0) / 10);
    const volume = { records: 2, bytes: compressed?.bytes, rawBytes: raw?.bytes };
    expect(compressing.exporter.stats()).toMatchObject({ sent: volume, acknowledged: volume, inFlightBytes: 0 });
    expect(warnings()).toEqual([]);
  });

  it('environment variables set the compression and its level', async () => {
    const receiver = await listen();
    const body = Array.from({ length: 3_000 }, (_, n) => `${n * 7_919}`).join(' ');
    vi.stubEnv('OTEL_EXPORTER_FLUENT_FORWARD_COMPRESSION', 'GZip');
    for (const level of ['1', '9']) {
      vi.stubEnv('OTEL_EXPORTER_FLUENT_FORWARD_COMPRESSION_LEVEL', level);
      await start({ endpoint: receiver.endpoint }).send(body);
    }
    const [fast, small] = receiver.messages;
    expect([fast?.option.compressed, small?.option.compressed]).toEqual(['gzip', 'gzip']);
    expect(small?.bytes).toBeLessThan(fast?.bytes ?? 0);
  });

  it('small chunks are sent uncompressed', async () => {
    const receiver = await listen();
    const { send } = start({ endpoint: receiver.endpoint, ...GZIP });
    await send('small');
    expect(receiver.messages).toMatchObject([{ mode: 'packed', option: { size: 1, chunk: expect.any(String) } }]);
    expect(receiver.messages[0]?.option).not.toHaveProperty('compressed');
  });

  it('maxChunkBytes limits chunks before they are compressed', async () => {
    const receiver = await listen();
    const { send } = start({ endpoint: receiver.endpoint, ...GZIP, maxChunkBytes: 20_000 });
    await send(COMPRESSIBLE, COMPRESSIBLE, COMPRESSIBLE);
    expect(receiver.messages.map(({ mode, entries }) => [mode, entries.length])).toEqual([
      ['compressed', 1],
      ['compressed', 1],
      ['compressed', 1],
    ]);
  });

  it('the size of a compressed message counts the group markers of the layout otlp', async () => {
    const receiver = await listen();
    const { send } = start({ endpoint: receiver.endpoint, ...GZIP, layout: 'otlp' });
    await send(COMPRESSIBLE);
    expect(receiver.messages).toMatchObject([{ mode: 'compressed', option: { size: 3 } }]);
    expect(receiver.entryCount).toBe(3);
  });

  it('the error for a chunk that is never acknowledged contains its size before and after compression', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'withhold' }) });
    const { clock, send } = start({ endpoint: receiver.endpoint, ...GZIP, timeoutMillis: 4_000 });
    const result = send(COMPRESSIBLE);
    await until(() => receiver.entryCount === 1);
    await clock.advance(4_000);
    const { error } = await result;
    const [message] = receiver.messages;
    expect(error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    expect(error?.message).toMatch(
      new RegExp(`a chunk of ${message?.bytes} bytes \\(13\\d\\d\\d before gzip\\) \\(1 record\\(s\\)`),
    );
  });
});

describe('a chunk that is being compressed', () => {
  /** An exporter with a proven connection and one record that waits for a thread to compress it. */
  async function compressing(options = {}) {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, ...GZIP, rotationIntervalMillis: 0, ...options });
    await made.send('proof');
    const threads = occupyThreads();
    let isDone = false;
    const result = made.send(COMPRESSIBLE).finally(() => {
      isDone = true;
    });
    await settle();
    expect(receiver.messageCount).toBe(1);
    return { ...made, receiver, threads, result, isDone: () => isDone };
  }

  it('inFlightBytes counts a chunk twice while it is compressed and then only its compressed copy', async () => {
    const { exporter, receiver, threads, result } = await compressing();
    // The buffer that holds 13,000 bytes, twice.
    expect(exporter.stats().inFlightBytes).toBe(2 * 14_336);
    receiver.messageFaults = () => ({ kind: 'withhold' });
    await threads.release();
    await until(() => receiver.entryCount === 2);
    expect(exporter.stats().inFlightBytes).toBe(1_024);
    receiver.messageFaults = [];
    receiver.resetConnections();
    await until(() => warnings().length > 0);
    await exporter.forceFlush();
    await result;
    expect(exporter.stats().inFlightBytes).toBe(0);
  });

  it('exports over maxInFlightBytes fail while a chunk is compressed', async () => {
    const { send, threads, result } = await compressing({ maxInFlightBytes: 28_000 });
    expect((await send('next')).error?.code).toBe('FLUENT_FORWARD_IN_FLIGHT_LIMIT');
    await threads.release();
    await result;
    expect(await send('next')).toEqual({ code: 0 });
  });

  it('an export of a small record does not wait for a chunk that is compressed', async () => {
    const { send, threads, result, isDone } = await compressing();
    expect(await send('small')).toEqual({ code: 0 });
    expect(isDone()).toBe(false);
    await threads.release();
    expect(await result).toEqual({ code: 0 });
  });

  it('the deadline ends an export while its chunk is compressed and the chunk is never sent', async () => {
    const { clock, exporter, receiver, send, threads, result } = await compressing();
    await clock.advance(24_999);
    expect(exporter.stats().inFlightBytes).toBeGreaterThan(0);
    await clock.advance(1);
    expect((await result).error).toMatchObject({ code: 'FLUENT_FORWARD_TIMEOUT', records: 1, acknowledgedRecords: 0 });
    const { inFlightBytes, failed } = exporter.stats();
    // The thread still reads the chunk.
    expect([inFlightBytes, failed.FLUENT_FORWARD_TIMEOUT?.records]).toEqual([14_336, 1]);
    await threads.release();
    // Compressed behind it.
    expect(await send(`${COMPRESSIBLE}!`)).toEqual({ code: 0 });
    await settle();
    expect(receiver.messages.map(({ mode }) => mode)).toEqual(['packed', 'compressed']);
    expect(receiver.messages[1]?.entries).toMatchObject([{ record: { message: `${COMPRESSIBLE}!` } }]);
    expect(exporter.stats().inFlightBytes).toBe(0);
  });

  it('exports that wait for compression end at their deadline and no buffer gets two users', async () => {
    const { clock, receiver, send, threads, result } = await compressing();
    const texts = (sign: string, count: number) =>
      Array.from({ length: count }, (_, n) => `${String.fromCharCode(97 + n)}${sign}`.repeat(6_000));
    const givenUp = texts('-', 5).map((text) => send(text));
    await clock.advance(25_000);
    expect((await Promise.all([result, ...givenUp])).map(({ error }) => error?.code)).toEqual(
      new Array(6).fill('FLUENT_FORWARD_TIMEOUT'),
    );
    await threads.release();
    // The two that had begun have ended.
    await send(COMPRESSIBLE);
    await Promise.all(texts('+', 20).map((text) => send(text)));
    const received = receiver.entries.map(({ record }) => (record as { message: string }).message);
    expect(received.slice(2).sort()).toEqual(texts('+', 20));
  });

  it('forceFlush waits until a chunk is compressed and acknowledged', async () => {
    const { exporter, receiver, threads, isDone } = await compressing();
    let isFlushed = false;
    const flushed = exporter.forceFlush().then(() => {
      isFlushed = true;
    });
    await settle();
    expect(isFlushed).toBe(false);
    await threads.release();
    await flushed;
    expect([isDone(), receiver.entryCount]).toEqual([true, 2]);
  });

  it('forceFlush ends after its budget although a chunk is still being compressed', async () => {
    const { clock, exporter, threads, result } = await compressing();
    const flushed = exporter.forceFlush();
    await clock.advance(10_000);
    await flushed;
    expect((await result).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
    await threads.release();
  });

  it('shutdown delivers a chunk that is being compressed before it closes', async () => {
    const { exporter, receiver, threads, result } = await compressing();
    const done = exporter.shutdown();
    await threads.release();
    await done;
    expect(await result).toEqual({ code: 0 });
    expect(receiver.entryCount).toBe(2);
  });

  it('shutdown ends within its budget while a chunk is compressed and leaves nothing behind', async () => {
    const { clock, exporter, receiver, threads, result } = await compressing();
    const done = exporter.shutdown();
    await clock.advance(10_000);
    await done;
    expect((await result).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
    await threads.release();
    await until(() => receiver.openConnections === 0);
    await settle();
    expect([receiver.entryCount, exporter.stats().inFlightBytes, clock.timers]).toEqual([1, 0, 0]);
  });

  it('a chunk is delivered if the connection is lost while the chunk is compressed', async () => {
    const made = await compressing();
    const { clock, receiver, threads, result } = made;
    receiver.resetConnections();
    await disconnected(made);
    // Longer than a first backoff, if there were one.
    await clock.advance(100);
    await threads.release();
    expect(await result).toEqual({ code: 0 });
    expect(receiver.entryCount).toBe(2);
  });
});

it('the constructor throws if compression is zstd and Node.js has no zstd', () => {
  const create = () => new FluentForwardLogExporter({ compression: 'zstd' });
  if ('zstdCompress' in process.getBuiltinModule('node:zlib')) expect(create).not.toThrow();
  else expect(create).toThrow(/^option compression: got "zstd" \(Node\.js 2\S+ has no zstd; 22\.15 and later have\)/);
});

// Node.js 20 has no zstd. The unit tests also run on versions that have it.
if ('zstdCompress' in process.getBuiltinModule('node:zlib')) {
  it('the exporter compresses with zstd what receivers can decompress and resends the same bytes', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'reset', when: 'before ack' }] });
    const exporter = new FluentForwardLogExporter({
      endpoint: receiver.endpoint,
      compression: 'zstd',
      compressionLevel: 19,
      maxChunkBytes: 2_000_000,
      maxStringBytes: 2_000_000,
      // On a slow machine an ack may take seconds, and only the reset may cause a resend.
      ackTimeoutMillis: 60_000,
      timeoutMillis: 100_000,
    });
    for (const length of [1, 999_000, 1_001_000]) {
      const text = 'compressible '.repeat(length / 13 + 1).slice(0, length);
      expect(await exportBodies(exporter, text)).toEqual({ code: 0 });
    }
    await exporter.shutdown();
    const [small, compressed, resent, large] = receiver.messages;
    expect(small).toMatchObject({ mode: 'packed' });
    expect(compressed).toMatchObject({ mode: 'compressed', option: { size: 1, compressed: 'zstd' } });
    expect(compressed?.bytes).toBeLessThan(2_000);
    expect(resent).toEqual({ ...compressed, connection: resent?.connection });
    expect(large).toMatchObject({ mode: 'packed' });
    expect(large?.bytes).toBeGreaterThan(1_001_000);
    expect(receiver.messages.map(textOf).map((text) => (text as string).length)).toEqual([
      1, 999_000, 999_000, 1_001_000,
    ]);
  });
}
