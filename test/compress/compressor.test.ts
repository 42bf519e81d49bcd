import { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Codec } from '../../src/compress/codec.ts';
import type { CodecName } from '../../src/compress/codecs.ts';
import { Compressor, MIN_COMPRESSED_BYTES } from '../../src/compress/compressor.ts';
import { type Engine, StreamEngine } from '../../src/compress/engine.ts';
import { gzip } from '../../src/compress/gzip.ts';
import { zstd } from '../../src/compress/zstd.ts';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import { recordFields } from '../support/arbitraries.ts';
import { settle, until } from '../support/fake-clock.ts';
import { batchEncoder, decodeChunk, type EncoderOptions, NOW, record } from '../support/records.ts';
import { unhandledRejections } from '../support/unhandled-rejections.ts';

/** The chunks that records with these bodies become. */
function chunksOf(bodies: readonly unknown[], options?: EncoderOptions): readonly Chunk[] {
  const records = bodies.map((body) => record({ body }));
  return batchEncoder(options).encode(records, NOW).chunks;
}

function chunkOf(body: unknown, options?: EncoderOptions): Chunk {
  return chunksOf([body], options)[0] as Chunk;
}

/** What no compression makes smaller, the same each time. */
function noise(bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let n = 0, at = 0; at < bytes; at++) {
    n = (Math.imul(n, 1_664_525) + 1_013_904_223) >>> 0;
    made[at] = n >>> 24;
  }
  return made;
}

const COMPRESSIBLE = 'compressible '.repeat(1_000);

function compressorWith(codec: Codec, { pool = new BufferPool(), level = 1, warn = (_: string) => {} } = {}) {
  const warnings: string[] = [];
  const compressor = new Compressor({
    codec,
    level,
    pool,
    warn: (_, message) => {
      warnings.push(message);
      warn(message);
    },
  });
  const compress = (chunk: Chunk) =>
    new Promise<Chunk | undefined>((done) => compressor.compress(chunk, { started, done }));
  return { compressor, compress, warnings };
}

const started = () => {};

/** A codec whose results come when the test wants. */
class HeldCodec implements Codec {
  readonly name = 'gzip';
  readonly maxLevel = 9;
  readonly maxBytes = 2_000;
  readonly started: { readonly bytes: Uint8Array; finish(result: Buffer): void }[] = [];

  createEngine(): Engine {
    return {
      close: () => {},
      compress: (bytes) =>
        new Promise((resolve) => {
          this.started.push({ bytes, finish: resolve });
        }),
    };
  }
}

/** Decompresses exactly one member or frame. */
const DECOMPRESS: Record<CodecName, (bytes: Uint8Array) => Uint8Array> = {
  gzip: (bytes) => {
    const [headerBytes, trailerBytes] = [10, 8];
    // No name, no comment, nothing else between the header and the data.
    expect([...bytes.subarray(0, 4)]).toEqual([0x1f, 0x8b, 8, 0]);
    const { engine } = zlib.inflateRawSync(bytes.subarray(headerBytes), { info: true } as object) as unknown as {
      engine: { bytesWritten: number };
    };
    expect(engine.bytesWritten).toBe(bytes.length - headerBytes - trailerBytes);
    return zlib.gunzipSync(bytes);
  },
  zstd: (bytes) => {
    expect(Buffer.from(bytes).readUInt32LE(0)).toBe(0xfd2fb528);
    // Its header contains the size, so that a receiver need not guess it.
    expect((bytes[4] as number) & 0b1110_0000).not.toBe(0);
    return (zlib as unknown as { zstdDecompressSync(bytes: Uint8Array): Uint8Array }).zstdDecompressSync(bytes);
  },
};

const CODECS: readonly Codec<CodecName>[] = zstd.unavailable === undefined ? [gzip, zstd] : [gzip];

describe.each(CODECS.map((codec) => [codec.name, codec] as const))('the codec %s', (_, codec) => {
  it.each(['default', 'flat', 'otlp'] as const)(
    'any compressed chunk decompresses to the same bytes in the layout %s',
    async (layout) => {
      const { compressor, compress, warnings } = compressorWith(codec);
      let compressedChunks = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(recordFields, { minLength: 1, maxLength: 20 }), async (fields) => {
          const { chunks } = batchEncoder({ layout, maxChunkBytes: 4_096 }).encode(fields.map(record), NOW);
          for (const chunk of chunks.filter((chunk) => compressor.takes(chunk))) {
            const compressed = await compress(chunk);
            if (compressed === undefined) continue;
            compressedChunks++;
            const { tag, entries, option } = decodeChunk(chunk);
            const { payload, bytes, records, rawBytes, id } = compressed;
            expect(Buffer.compare(DECOMPRESS[codec.name](payload), chunk.payload)).toBe(0);
            expect(decodeChunk({ bytes: withPayload(compressed, chunk.payload) })).toMatchObject({
              tag,
              option: { ...option, compressed: codec.name, size: entries.length },
            });
            expect([id, records, rawBytes]).toEqual([option.chunk, chunk.records, chunk.bytes.length]);
            expect(bytes.length).toBeLessThan(chunk.bytes.length);
          }
        }),
        { numRuns: 100 },
      );
      expect(compressedChunks).toBeGreaterThan(50);
      expect(warnings).toEqual([]);
    },
  );

  it('the compressor has room for large and small results one after the other', async () => {
    const { compress } = compressorWith(codec);
    for (const bytes of [900_000, 1_000, 500_000]) {
      const chunk = chunkOf(noise(bytes / 2).toString('hex'), { maxStringBytes: bytes });
      const compressed = await compress(chunk);
      expect(compressed?.bytes.length).toBeGreaterThan(bytes * 0.45);
      expect(Buffer.compare(DECOMPRESS[codec.name]((compressed as Chunk).payload), chunk.payload)).toBe(0);
    }
  });

  it('a higher level makes a smaller chunk', async () => {
    const body = Array.from({ length: 3_000 }, (_, n) => `${n * 7_919}`).join(' ');
    const sizes = await Promise.all(
      [1, codec.maxLevel].map(async (level) => {
        const compressed = await compressorWith(codec, { level }).compress(chunkOf(body));
        return compressed?.bytes.length ?? Number.NaN;
      }),
    );
    expect(sizes[1]).toBeLessThan(sizes[0] as number);
  });

  it('the compressor returns nothing and logs nothing if compression saves no bytes', async () => {
    const { compressor, compress, warnings } = compressorWith(codec);
    const chunk = chunkOf(noise(100_000), { layout: 'otlp' });
    expect(compressor.takes(chunk)).toBe(true);
    expect(await compress(chunk)).toBeUndefined();
    expect(warnings).toEqual([]);
  });
});

/** A message with other entries, uncompressed ones, in the place of its own. */
function withPayload(compressed: Chunk, payload: Uint8Array): Uint8Array {
  const { prefix, bytes } = compressed;
  const option = bytes.subarray(prefix.length + compressed.payloadBytes);
  const message = Buffer.concat([prefix, payload, option]);
  expect(message.readUInt32BE(prefix.length - 4)).toBe(compressed.payloadBytes);
  message.writeUInt32BE(payload.length, prefix.length - 4);
  return message;
}

/** Four chunks for a codec that finishes when the test wants; `done` gets the ids of the compressed ones. */
function fourAtOnce() {
  const codec = new HeldCodec();
  const { compressor } = compressorWith(codec);
  const chunks = ['a', 'b', 'c', 'd'].map((text) => chunkOf(text.repeat(1_000)));
  const done: unknown[] = [];
  for (const chunk of chunks) compressor.compress(chunk, { started, done: (compressed) => done.push(compressed?.id) });
  return { codec, compressor, chunks, done };
}

describe('the compressor', () => {
  it('the compressor takes chunks that are neither too small to gain nor too large for receivers', () => {
    const { compressor } = compressorWith(new HeldCodec());
    const chunkOfBytes = (bytes: number) => {
      // The length of the body's header depends on its own.
      const bodies = [2, 3].map((header) => 'x'.repeat(bytes - emptyBytes - header));
      return bodies.map((body) => chunkOf(body)).find(({ payloadBytes }) => payloadBytes === bytes) as Chunk;
    };
    const emptyBytes = chunkOf('').payloadBytes - 1;
    const sizes = [MIN_COMPRESSED_BYTES - 1, MIN_COMPRESSED_BYTES, 2_000, 2_001];
    expect(sizes.map((bytes) => compressor.takes(chunkOfBytes(bytes)))).toEqual([false, true, true, false]);
    expect(gzip.maxBytes).toBeGreaterThan(6_000_000);
  });

  it('the compressor compresses two chunks at a time in the order of their arrival', async () => {
    const { codec, chunks, done } = fourAtOnce();
    const started = () =>
      codec.started.map(({ bytes }) => chunks.findIndex((chunk) => Buffer.compare(chunk.payload, bytes) === 0));
    expect(started()).toEqual([0, 1]);
    codec.started[1]?.finish(Buffer.alloc(100));
    await until(() => codec.started.length === 3);
    expect(started()).toEqual([0, 1, 2]);
    codec.started[2]?.finish(Buffer.alloc(100));
    await until(() => codec.started.length === 4);
    codec.started[3]?.finish(Buffer.alloc(100));
    codec.started[0]?.finish(Buffer.alloc(100));
    await until(() => done.length === 4);
    expect(done).toEqual([1, 2, 3, 0].map((n) => chunks[n]?.id));
  });

  it('the compressor never starts a chunk that is cancelled while it waits', async () => {
    const { codec, compressor, chunks, done } = fourAtOnce();
    compressor.cancel(chunks[2] as Chunk);
    for (let n = 0; n < 3; n++) {
      await until(() => codec.started.length > n);
      codec.started[n]?.finish(Buffer.alloc(100));
    }
    await until(() => done.length === 3);
    await settle();
    expect(done).toEqual([0, 1, 3].map((n) => chunks[n]?.id));
  });

  it('the buffer of a released chunk is not reused while a thread reads it', async () => {
    const pool = new BufferPool();
    const codec = new HeldCodec();
    const { compressor } = compressorWith(codec);
    const chunk = chunkOf('x'.repeat(1_000), { pool });
    let compressed: Chunk | undefined;
    compressor.compress(chunk, {
      started,
      done: (made) => {
        compressed = made;
      },
    });
    const before = pool.retainedBytes;
    // As when its export is given up.
    compressor.cancel(chunk);
    chunk.release();
    expect(pool.retainedBytes).toBe(before);
    codec.started[0]?.finish(Buffer.alloc(100));
    await until(() => compressed !== undefined);
    expect(pool.retainedBytes).toBe(before + chunk.heldBytes);
  });

  it('a chunk is sent uncompressed if its engine breaks and the next chunk gets a new engine', async () => {
    const streams: zlib.Gzip[] = [];
    const createEngine = (level: number): Engine => {
      const stream = zlib.createGzip({ level, flush: zlib.constants.Z_FINISH });
      streams.push(stream);
      return new StreamEngine(stream);
    };
    const { compress, warnings } = compressorWith({ ...gzip, createEngine });
    const pool = new BufferPool();
    const chunk = chunkOf(COMPRESSIBLE, { pool });
    expect(await compress(chunk)).toBeDefined();
    const failing = compress(chunk);
    // As node:zlib does when there is no memory.
    streams[0]?.destroy(new Error('insufficient memory'));
    expect(await failing).toBeUndefined();
    expect(warnings).toEqual(['gzip failed: insufficient memory; chunks are sent uncompressed']);
    expect(await compress(chunk)).toBeDefined();
    expect(streams).toHaveLength(2);
    // The chunk still belongs to the caller.
    const before = pool.retainedBytes;
    chunk.release();
    expect(pool.retainedBytes).toBe(before + chunk.heldBytes);
  });

  it('a chunk is sent uncompressed if no engine can be created', async () => {
    const createEngine = (): Engine => {
      throw new Error('Initialization failed');
    };
    const { compress, warnings } = compressorWith({ ...gzip, createEngine });
    expect(await compress(chunkOf(COMPRESSIBLE))).toBeUndefined();
    expect(warnings).toEqual(['gzip failed: Initialization failed; chunks are sent uncompressed']);
  });

  it('a chunk is sent uncompressed if the stream has written nothing', async () => {
    const silent = () =>
      Object.assign(new Transform({ transform: (_chunk, _encoding, done) => done() }), { reset: () => {} });
    const { compress, warnings } = compressorWith({ ...gzip, createEngine: () => new StreamEngine(silent()) });
    expect(await compress(chunkOf(COMPRESSIBLE))).toBeUndefined();
    expect(warnings).toEqual(['gzip failed: no output; chunks are sent uncompressed']);
  });

  it('the compressor closes idle engines at once and busy ones when they have finished', async () => {
    let closed = 0;
    const createEngine = (level: number): Engine => {
      const engine = gzip.createEngine(level);
      return {
        compress: (bytes) => engine.compress(bytes),
        close: () => {
          closed++;
          engine.close();
        },
      };
    };
    const { compressor, compress } = compressorWith({ ...gzip, createEngine });
    await Promise.all([compress(chunkOf(COMPRESSIBLE)), compress(chunkOf(COMPRESSIBLE))]);
    const running = compress(chunkOf(COMPRESSIBLE));
    compressor.close();
    expect(closed).toBe(1);
    expect(await running).toBeDefined();
    expect(closed).toBe(2);
  });

  it('the compressor compresses the chunks that wait if the owner of a chunk throws', async () => {
    const rejections = unhandledRejections();
    const codec = new HeldCodec();
    const { compressor, warnings } = compressorWith(codec);
    const done: number[] = [];
    for (let n = 0; n < 4; n++) {
      compressor.compress(chunkOf('x'.repeat(1_000)), {
        started,
        done: () => {
          done.push(n);
          throw new Error(`fault ${n}`);
        },
      });
    }
    for (let n = 0; n < 4; n++) {
      await until(() => codec.started.length > n);
      codec.started[n]?.finish(Buffer.alloc(100));
    }
    await until(() => done.length === 4);
    expect(await rejections()).toEqual([]);
    expect(done).toEqual([0, 1, 2, 3]);
    expect(warnings).toEqual(done.map((n) => `gzip: a fault of this package: fault ${n}; the chunk may be lost`));
  });

  it('chunks are sent uncompressed if their engines break and the warnings throw', async () => {
    const rejections = unhandledRejections();
    const createEngine = (): Engine => ({ compress: () => fail('broken'), close: () => {} });
    const { compress, warnings } = compressorWith({ ...gzip, createEngine }, { warn: () => fail('no log') });
    const pool = new BufferPool();
    // More than are compressed at a time.
    for (let n = 0; n < 3; n++) expect(await compress(chunkOf(COMPRESSIBLE, { pool }))).toBeUndefined();
    expect(await rejections()).toEqual([]);
    expect(warnings).toHaveLength(3);
  });

  it('the compressor closes and completes what runs if engines cannot be closed', async () => {
    const createEngine = (level: number): Engine => {
      const engine = gzip.createEngine(level);
      return { compress: (bytes) => engine.compress(bytes), close: () => fail('not closed') };
    };
    const { compressor, compress, warnings } = compressorWith({ ...gzip, createEngine });
    await Promise.all([compress(chunkOf(COMPRESSIBLE)), compress(chunkOf(COMPRESSIBLE))]);
    const running = compress(chunkOf(COMPRESSIBLE));
    compressor.close();
    expect(await running).toBeDefined();
    expect(warnings).toEqual([]);
  });

  it('a chunk is sent uncompressed if the result of the stream cannot be taken', async () => {
    const stream = () =>
      Object.assign(new Transform({ transform: (bytes, _encoding, done) => done(null, bytes) }), {
        reset: () => fail('no memory for the result'),
      });
    const { compress, warnings } = compressorWith({ ...gzip, createEngine: () => new StreamEngine(stream()) });
    expect(await compress(chunkOf(COMPRESSIBLE))).toBeUndefined();
    expect(warnings).toEqual(['gzip failed: no memory for the result; chunks are sent uncompressed']);
  });
});

function fail(message: string): never {
  throw new Error(message);
}
