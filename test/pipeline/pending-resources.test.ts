import { resourceFromAttributes } from '@opentelemetry/resources';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import type { CreateOptions } from '../../src/encode/layout/create.ts';
import { FunctionTagger, parseTag, type Tagger } from '../../src/encode/tag.ts';
import { TooLargeError } from '../../src/encode/writer.ts';
import { MemoryBound } from '../../src/pipeline/memory.ts';
import { RecordEncoder } from '../../src/pipeline/record-encoder.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { batchEncoder, decodeChunk, layoutWith, record } from '../support/records.ts';

interface FixtureOptions {
  readonly layout?: CreateOptions['layout'];
  readonly tag?: string | Tagger;
  readonly usesResource?: boolean;
  /** The most bytes of a message. */
  readonly maxBytes?: number;
}

/** An encoder of records, and what comes of them. Sealed chunks are released at once. */
function recordEncoder({
  layout = 'default',
  tag = 'a.tag',
  usesResource = true,
  maxBytes = 6_000_000,
}: FixtureOptions = {}) {
  const clock = new FakeClock();
  const memory = new MemoryBound(32 * 2 ** 20);
  const warnings: string[] = [];
  const unencodable: unknown[] = [];
  const sealed: { readonly tag: string; readonly payload: Buffer; readonly contents: Record<string, unknown>[] }[] = [];
  const encoder = new RecordEncoder({
    layout: layoutWith({ layout }),
    tag,
    usesResource,
    pool: new BufferPool(),
    limits: { maxChunkBytes: 1_000_000, ceilingBytes: maxBytes },
    memory,
    clock,
    scheduledDelayMillis: 200,
    warn: (_, message) => warnings.push(`endpoint: ${message}`),
    onSealed: (chunk: Chunk) => {
      const contents = decodeChunk(chunk).entries.map((entry) => entry.record);
      sealed.push({ tag: chunk.tag, payload: Buffer.from(chunk.payload), contents });
      chunk.release();
    },
    onLost: () => {},
    onUnencodable: (error) => {
      unencodable.push(error);
      fixture.onUnencodable();
    },
  });
  const encode = (...records: ReadableLogRecord[]) => {
    for (const each of records) encoder.encode(each, each.severityNumber);
  };
  const messages = () => sealed.flatMap(({ contents }) => contents.map(({ message, log }) => message ?? log));
  const resources = () => sealed.flatMap(({ contents }) => contents.map(({ resource }) => resource));
  const fixture = {
    clock,
    encode,
    encoder,
    memory,
    messages,
    resources,
    sealed,
    unencodable,
    warnings,
    onUnencodable: () => {},
  };
  return fixture;
}

/** A resource with a detector that the test ends. */
class SlowResource {
  attributes: Record<string, unknown> = { 'service.name': 'svc' };
  schemaUrl = 'https://schema';
  asyncAttributesPending = true;
  waits = 0;
  readonly #waited: Promise<void>;
  #done = () => {};
  #failed = (_: Error) => {};

  constructor() {
    this.#waited = new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
    });
  }

  waitForAsyncAttributes(): Promise<void> {
    this.waits++;
    return this.#waited;
  }

  complete(): void {
    this.attributes = { 'service.name': 'svc', 'host.id': 'h1' };
    this.asyncAttributesPending = false;
  }

  finish(): void {
    this.complete();
    this.#done();
  }

  fail(error: Error): void {
    this.#failed(error);
  }
}

/** Waits until records whose resource is known are sealed. */
async function afterDelay(clock: FakeClock): Promise<void> {
  await settle();
  await clock.advance(200);
}

const KNOWN = { 'service.name': 'svc' };
const ALL = { 'service.name': 'svc', 'host.id': 'h1' };
const from = (resource: object, body: unknown, fields = {}) => record({ resource, body, ...fields });

/** A record with all kinds of fields. */
const full = (resource: object, i: number) =>
  from(resource, i % 2 === 0 ? `message ${i}` : { i }, {
    severityNumber: 9,
    severityText: 'INFO',
    attributes: Object.fromEntries(Array.from({ length: i * 7 }, (_, n) => [`key${n}`, n])),
    instrumentationScope: { name: `scope ${i % 2}` },
    droppedAttributesCount: i,
  });

describe('records whose resource is pending', () => {
  it.each(['default', 'flat', 'otlp'] as const)(
    'a record waits for its pending resource, and is then what it would be with a complete one: %s',
    async (layout) => {
      const { clock, encode, sealed } = recordEncoder({ layout });
      const resource = new SlowResource();
      for (let i = 0; i < 8; i++) encode(full(resource, i));
      await clock.advance(4_000);
      expect(sealed).toEqual([]);
      resource.finish();
      await afterDelay(clock);
      const records = Array.from({ length: 8 }, (_, i) => full(resource, i));
      const [expected] = batchEncoder({ layout }).encode(records, clock.wallTime()).chunks as [Chunk];
      expect(sealed).toHaveLength(1);
      expect(sealed[0]?.payload.equals(expected.payload)).toBe(true);
    },
  );

  it('a layout function gets what is known of a pending resource, and its records do not wait', async () => {
    const { clock, encode, resources, warnings } = recordEncoder({ layout: (_, entry) => entry });
    const resource = new SlowResource();
    encode(from(resource, 'a'));
    await afterDelay(clock);
    expect(resources()).toEqual([KNOWN]);
    resource.finish();
    await settle();
    encode(from(resource, 'b'));
    await afterDelay(clock);
    expect([resources(), warnings]).toEqual([[KNOWN, ALL], []]);
  });

  it('a record does not wait for a resource of which nothing is sent', async () => {
    const { clock, encode, encoder, messages } = recordEncoder({ usesResource: false });
    encode(from(new SlowResource(), 'a'));
    await afterDelay(clock);
    await encoder.sealAll();
    expect(messages()).toEqual(['a']);
  });

  it('a flush does not wait for a resource whose records do not wait', async () => {
    const { encode, encoder, messages } = recordEncoder({ layout: (_, entry) => entry });
    encode(from(new SlowResource(), 'a'));
    await encoder.sealAll();
    expect(messages()).toEqual(['a']);
  });

  it('an attribute behind one that never comes is sent', async () => {
    const { clock, encode, resources } = recordEncoder();
    const attributes = { first: new Promise<string>(() => {}), second: Promise.resolve('known') };
    encode(from(resourceFromAttributes(attributes), 'a'));
    await clock.advance(5_000);
    await afterDelay(clock);
    expect(resources()).toEqual([{ second: 'known' }]);
  });

  it('a record that is logged while a resource is given up is sent too', async () => {
    const encoder = recordEncoder({ maxBytes: 2_048 });
    const resource = new SlowResource();
    encoder.onUnencodable = () => encoder.encode(from(resource, 'in the report'));
    // With its resource it does not fit in a message.
    encoder.encode(from(resource, 'x'.repeat(3_000)), from(resource, 'small'));
    await encoder.clock.advance(5_000);
    await afterDelay(encoder.clock);
    expect(encoder.messages().sort()).toEqual(['in the report', 'small']);
  });

  it('the tag of a record is made when its pending resource is known', async () => {
    const tag = parseTag('${resource.host.id}.${attributes.kind}') as Tagger;
    const { clock, encode, sealed } = recordEncoder({ tag });
    const resource = new SlowResource();
    encode(from(resource, 'a', { attributes: { kind: 'x' } }), from(resource, 'b', { attributes: { kind: 'y' } }));
    resource.finish();
    await afterDelay(clock);
    expect(sealed.map((each) => each.tag)).toEqual(['h1.x', 'h1.y']);
  });

  it('a tag function is called when a record with a pending resource is emitted', async () => {
    const calls: unknown[] = [];
    const tag = new FunctionTagger(
      ({ body }) => {
        calls.push(body);
        return 'made';
      },
      () => {},
    );
    const { clock, encode, sealed } = recordEncoder({ tag });
    const resource = new SlowResource();
    encode(from(resource, 'a'));
    expect(calls).toEqual(['a']);
    resource.finish();
    await afterDelay(clock);
    expect([calls, sealed.map((each) => each.tag)]).toEqual([['a'], ['made']]);
  });

  it('each pending resource is waited for once, and holds up no other', async () => {
    const { clock, encode, messages } = recordEncoder();
    const [one, two] = [new SlowResource(), new SlowResource()];
    for (let i = 0; i < 3; i++) encode(from(one, `one ${i}`), from(two, `two ${i}`), record({ body: `other ${i}` }));
    two.finish();
    await afterDelay(clock);
    expect(messages().sort()).toEqual(['other 0', 'other 1', 'other 2', 'two 0', 'two 1', 'two 2']);
    one.finish();
    await afterDelay(clock);
    expect(messages().slice(6)).toEqual(['one 0', 'one 1', 'one 2']);
    expect([one.waits, two.waits]).toEqual([1, 1]);
  });

  it('records keep their order if the resource is completed between two of them', async () => {
    const { clock, encode, messages, resources } = recordEncoder();
    const resource = new SlowResource();
    encode(from(resource, 'a'), from(resource, 'b'));
    await settle();
    // The promise of the detector has not settled yet.
    resource.complete();
    encode(from(resource, 'c'));
    resource.finish();
    encode(from(resource, 'd'));
    await afterDelay(clock);
    expect(messages()).toEqual(['a', 'b', 'c', 'd']);
    expect(resources()).toEqual([ALL, ALL, ALL, ALL]);
  });

  it('more records than one buffer holds wait for their resource in their order', async () => {
    const { clock, encode, encoder, memory, messages } = recordEncoder();
    const resource = new SlowResource();
    const bodies = Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(6_000)}`);
    for (const body of bodies) encode(from(resource, body));
    expect(memory.usedBytes).toBeGreaterThan(1_800_000);
    resource.finish();
    await afterDelay(clock);
    await encoder.sealAll();
    expect(messages()).toEqual(bodies);
    expect(memory.usedBytes).toBe(0);
  });
});

describe('detectors that fail', () => {
  it('a record waits at most 5 s for its resource, is sent with what is known, and one warning says so', async () => {
    const { clock, encode, messages, resources, warnings } = recordEncoder();
    const resource = new SlowResource();
    encode(from(resource, 'a'));
    await clock.advance(4_999);
    expect([messages(), warnings]).toEqual([[], []]);
    await clock.advance(201);
    expect(resources()).toEqual([KNOWN]);
    encode(from(resource, 'b'));
    await clock.advance(10_000);
    expect(resources()).toEqual([KNOWN, KNOWN]);
    expect(warnings).toEqual([
      'endpoint: the resource of log records is incomplete: a detector has not answered within 5000 ms; they are sent with what is known of it',
    ]);
    // It settles late.
    resource.finish();
    encode(from(resource, 'c'));
    await afterDelay(clock);
    expect(resources()).toEqual([KNOWN, KNOWN, ALL]);
    expect([resource.waits, warnings.length, clock.timers]).toEqual([1, 1, 0]);
  });

  it.each<[how: string, fail: (resource: SlowResource) => void]>([
    [
      'throws',
      (resource) => {
        resource.waitForAsyncAttributes = () => {
          throw new Error('no metadata service');
        };
      },
    ],
    ['rejects', (resource) => resource.fail(new Error('no metadata service'))],
  ])('records are sent with what is known of their resource if its detector %s', async (_, fail) => {
    const { clock, encode, resources, warnings } = recordEncoder();
    const resource = new SlowResource();
    fail(resource);
    encode(from(resource, 'a'));
    await settle();
    encode(from(resource, 'b'));
    await afterDelay(clock);
    expect(resources()).toEqual([KNOWN, KNOWN]);
    expect(warnings).toEqual([
      'endpoint: the resource of log records is incomplete: no metadata service; they are sent with what is known of it',
    ]);
  });

  it('records are sent with the whole resource if its detectors have finished although one rejects', async () => {
    const { clock, encode, resources, warnings } = recordEncoder();
    const resource = new SlowResource();
    encode(from(resource, 'a'));
    resource.complete();
    resource.fail(new Error('late'));
    await afterDelay(clock);
    expect([resources(), warnings]).toEqual([[ALL], []]);
  });

  it('a pending resource without the methods of the SDK does not hold records up', async () => {
    const { clock, encode, resources } = recordEncoder();
    encode(from({ attributes: KNOWN, asyncAttributesPending: true }, 'a'));
    await afterDelay(clock);
    expect(resources()).toEqual([KNOWN]);
  });
});

describe('the end of records whose resource is pending', () => {
  it.each([
    ['when it is known', (resource: SlowResource) => resource.finish(), 0, ALL],
    ['after 5 s', () => {}, 5_000, KNOWN],
  ])('a flush seals records with a pending resource %s', async (_, end, millis, expected) => {
    const { clock, encode, encoder, resources } = recordEncoder();
    const resource = new SlowResource();
    encode(from(resource, 'a'));
    let isDone = false;
    const done = encoder.sealAll().then(() => {
      isDone = true;
    });
    await clock.advance(Math.max(0, millis - 1));
    expect(isDone).toBe(false);
    end(resource);
    await clock.advance(1);
    await done;
    expect(resources()).toEqual([expected]);
  });

  it('discarded records free their memory, and are not sent later', async () => {
    const { clock, encode, encoder, memory, sealed } = recordEncoder();
    const resource = new SlowResource();
    encode(from(resource, 'a', { severityNumber: 17 }), record({ severityNumber: 9 }));
    expect(memory.usedBytes).toBeGreaterThan(0);
    expect(encoder.discard().map(String)).toEqual(['ERROR 1', 'INFO 1']);
    resource.finish();
    await clock.advance(10_000);
    expect([sealed, memory.usedBytes, clock.timers]).toEqual([[], 0, 0]);
  });

  it('records that no message can hold with their resource are dropped when it is known', async () => {
    const { clock, encode, memory, messages, unencodable } = recordEncoder();
    const resource = new SlowResource();
    encode(from(resource, 'a'), from(resource, 'b'));
    const large = Array.from({ length: 25 }, (_, i) => [`key${i}`, 'x'.repeat(249_000)]);
    resource.finish();
    resource.attributes = Object.fromEntries(large);
    await afterDelay(clock);
    expect([messages(), unencodable]).toEqual([[], [new TooLargeError(), new TooLargeError()]]);
    expect(memory.usedBytes).toBe(0);
  });
});
