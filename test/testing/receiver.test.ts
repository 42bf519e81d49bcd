import { deepStrictEqual } from 'node:assert';
import { mkdtempSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { decodeMulti, Encoder, ExtData, encode } from '@msgpack/msgpack';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type ConnectionFault,
  ForwardReceiver,
  type ForwardReceiverOptions,
  type MessageFault,
} from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const item of open.splice(0)) await item.close();
});

async function listen(options?: ForwardReceiverOptions): Promise<ForwardReceiver> {
  const receiver = await ForwardReceiver.listen(options);
  open.push(receiver);
  return receiver;
}

/** A client that keeps the answers it gets, and how its connection ended. */
class Client {
  readonly socket: Socket;
  answered = Buffer.alloc(0);
  reads = 0;
  end: 'FIN' | 'RST' | undefined;

  constructor(receiver: ForwardReceiver) {
    const { pathname, protocol } = new URL(receiver.endpoint);
    this.socket = connect(protocol === 'unix:' ? { path: pathname } : { port: receiver.port, host: '127.0.0.1' });
    this.socket.on('data', (data) => {
      this.answered = Buffer.concat([this.answered, data]);
      this.reads++;
    });
    this.socket.once('end', () => {
      this.end ??= 'FIN';
    });
    this.socket.once('error', () => {
      this.end ??= 'RST';
    });
    open.push({ close: () => this.socket.destroy() });
  }

  send(message: unknown): void {
    this.socket.write(encode(message));
  }

  get answers(): unknown[] {
    return [...decodeMulti(this.answered)];
  }
}

const TIME = new ExtData(0, Uint8Array.of(0x65, 0x53, 0xf1, 0x00, 0x07, 0x5b, 0xcd, 0x15));
const RECORD = { log: 'hello', n: 1 };
const time = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
const ENTRIES = Buffer.concat([encode([TIME, RECORD]), encode([1_700_000_001, RECORD])]);
const expected = [
  { tag: 't', time, record: RECORD },
  { tag: 't', time: { seconds: 1_700_000_001, nanoseconds: 0 }, record: RECORD },
];

describe('ForwardReceiver', () => {
  const modes: [name: string, message: unknown, mode: string, entries: unknown][] = [
    ['Message', ['t', TIME, RECORD, { chunk: 'c' }], 'message', expected.slice(0, 1)],
    [
      'Forward',
      [
        't',
        [
          [TIME, RECORD],
          [1_700_000_001, RECORD],
        ],
        { chunk: 'c' },
      ],
      'forward',
      expected,
    ],
    [
      'Forward with metadata',
      ['t', [[[TIME, { m: 1 }], RECORD]], { chunk: 'c' }],
      'forward',
      [{ ...expected[0], metadata: { m: 1 } }],
    ],
    ['PackedForward', ['t', ENTRIES, { chunk: 'c', size: 2 }], 'packed', expected],
    ['gzip', ['t', zlib.gzipSync(ENTRIES), { chunk: 'c', compressed: 'gzip' }], 'compressed', expected],
    [
      'gzip in two members',
      ['t', Buffer.concat([zlib.gzipSync(ENTRIES), zlib.gzipSync(ENTRIES)]), { chunk: 'c', compressed: 'gzip' }],
      'compressed',
      [...expected, ...expected],
    ],
    [
      'PackedForward that says it is not compressed',
      ['t', ENTRIES, { chunk: 'c', compressed: 'text' }],
      'packed',
      expected,
    ],
    [
      'PackedForward with nil for the compression',
      ['t', ENTRIES, { chunk: 'c', compressed: null }],
      'packed',
      expected,
    ],
    [
      'times as floats',
      [
        't',
        [
          [1.25, RECORD],
          [-0.5, RECORD],
        ],
        { chunk: 'c' },
      ],
      'forward',
      [
        { tag: 't', time: { seconds: 1, nanoseconds: 250_000_000 }, record: RECORD },
        { tag: 't', time: { seconds: -1, nanoseconds: 500_000_000 }, record: RECORD },
      ],
    ],
  ];
  const { zstdCompressSync } = zlib as { zstdCompressSync?: (data: Uint8Array) => Uint8Array };
  if (zstdCompressSync !== undefined) {
    modes.push(['zstd', ['t', zstdCompressSync(ENTRIES), { chunk: 'c', compressed: 'zstd' }], 'compressed', expected]);
  }

  it.each(modes)('the receiver decodes and acknowledges a message: %s', async (_, message, mode, entries) => {
    const receiver = await listen();
    const client = new Client(receiver);
    client.send(message);
    await until(() => client.answered.length > 0);
    expect(client.answers).toEqual([{ ack: 'c' }]);
    expect(receiver.entries).toEqual(entries);
    expect(receiver.messages[0]).toMatchObject({ mode, tag: 't', chunk: 'c', connection: 0 });
  });

  it('the receiver takes the entries of PackedForward in str, as older clients send them', async () => {
    const receiver = await listen();
    const client = new Client(receiver);
    // They are not UTF-8, so the library cannot write them as str.
    const message = (payload: Uint8Array, option: object) =>
      Buffer.concat([Buffer.of(0x93, 0xa1, 0x74, 0xda, 0, payload.length), payload, encode(option)]);
    client.socket.write(message(ENTRIES, { chunk: 'c' }));
    client.socket.write(message(zlib.gzipSync(ENTRIES), { chunk: 'd', compressed: 'gzip' }));
    await until(() => client.answers.length === 2);
    expect(client.answers).toEqual([{ ack: 'c' }, { ack: 'd' }]);
    expect(receiver.messages.map(({ mode }) => mode)).toEqual(['packed', 'compressed']);
    expect(receiver.entries).toEqual([...expected, ...expected]);
  });

  it('the receiver takes no map for a time, whatever its keys', async () => {
    const receiver = await listen();
    const reasons: string[] = [];
    receiver.on('invalid', (error) => reasons.push(error.message));
    const client = new Client(receiver);
    client.send(['t', { seconds: 1, nanoseconds: 2 }, RECORD]);
    await until(() => client.end === 'RST');
    expect(reasons).toEqual(['an entry has no time']);
  });

  it('the receiver takes keys such as __proto__ anywhere in a message, as own properties, from every mode', async () => {
    const receiver = await listen();
    const client = new Client(receiver);
    const odd = JSON.parse('{"__proto__":{"x":1},"constructor":{"prototype":2},"prototype":3,"":4,"toString":5}');
    const option = { chunk: 'c', ...odd };
    const entry = [[TIME, odd], odd];
    client.send(['t', TIME, odd, option]);
    client.send(['t', [entry], option]);
    client.send(['t', encode(entry), option]);
    client.send(['t', zlib.gzipSync(encode(entry)), { ...option, compressed: 'gzip' }]);
    await until(() => client.answers.length === 4);
    expect(client.answers).toEqual(Array(4).fill({ ack: 'c' }));
    deepStrictEqual(receiver.entries, [
      { tag: 't', time, record: odd },
      ...Array(3).fill({ tag: 't', time, metadata: odd, record: odd }),
    ]);
    deepStrictEqual(
      receiver.messages.map((message) => message.option),
      [...Array(3).fill(option), { ...option, compressed: 'gzip' }],
    );
    expect({}).not.toHaveProperty('x');
  });

  it('the receiver takes a record of 128 nested containers in every mode', async () => {
    const receiver = await listen();
    const client = new Client(receiver);
    let record: unknown = 1;
    for (let depth = 0; depth < 128; depth++) record = depth % 2 === 0 ? [record] : { k: record };
    const encoder = new Encoder({ maxDepth: 200 });
    const entry = encoder.encode([[TIME, {}], record]).slice();
    const modes = [
      ['t', TIME, record],
      ['t', [[[TIME, {}], record]]],
      ['t', entry],
      ['t', zlib.gzipSync(entry), { compressed: 'gzip' }],
    ];
    for (const message of modes) client.socket.write(encoder.encode(message).slice());
    await receiver.waitForEntries(4);
    expect(receiver.messages.map(({ mode }) => mode)).toEqual(['message', 'forward', 'packed', 'compressed']);
    for (const entry of receiver.entries) expect(entry.record).toEqual(record);
  });

  it('the receiver resets a connection whose record is nested too deep, in every mode', async () => {
    const receiver = await listen();
    const reasons: string[] = [];
    receiver.on('invalid', (error) => reasons.push(error.message));
    const record = Buffer.alloc(200_000, 0x91);
    const entry = Buffer.concat([Buffer.of(0x92, 1), record, Buffer.of(0xc0)]);
    const modes = [
      Buffer.concat([Buffer.of(0x93, 0xa1, 0x74, 1), record]),
      Buffer.concat([Buffer.of(0x92, 0xa1, 0x74, 0x91), entry]),
      encode(['t', entry]),
      encode(['t', zlib.gzipSync(entry), { compressed: 'gzip' }]),
    ];
    for (const message of modes) {
      const client = new Client(receiver);
      client.socket.write(message);
      await until(() => client.end === 'RST');
    }
    expect(reasons).toEqual([
      ...Array(2).fill('a message nested deeper than 131'),
      ...Array(2).fill('a value is nested deeper than 131'),
    ]);
  });

  it('the receiver sends no ack for a message without a chunk id', async () => {
    const receiver = await listen();
    const client = new Client(receiver);
    client.send(['t', TIME, RECORD]);
    client.send(['t', TIME, RECORD, { chunk: 'c' }]);
    await until(() => client.answered.length > 0);
    expect(client.answers).toEqual([{ ack: 'c' }]);
    expect(receiver.entryCount).toBe(2);
  });

  it('the receiver keeps large integers exact', async () => {
    const receiver = await listen();
    const record = { small: 5n, large: 2n ** 63n, negative: -(2n ** 62n) };
    new Client(receiver).socket.write(new Encoder({ useBigInt64: true }).encode(['t', 1, record]));
    await receiver.waitForEntries(1);
    expect(receiver.entries[0]?.record).toEqual({ ...record, small: 5 });
  });

  it('the receiver reads a message that arrives byte by byte', async () => {
    const receiver = await listen();
    const client = new Client(receiver);
    for (const byte of encode(['t', ENTRIES, { chunk: 'c' }])) {
      client.socket.write(Uint8Array.of(byte));
      await new Promise(setImmediate);
    }
    await until(() => client.answered.length > 0);
    expect(receiver.entries).toEqual(expected);
  });

  it('the receiver listens on a Unix socket', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'receiver-')), 'socket');
    const receiver = await listen({ path });
    expect(receiver.endpoint).toBe(`unix://${path}`);
    new Client(receiver).send(['t', TIME, RECORD]);
    await receiver.waitForEntries(1);
  });

  it('the receiver ends connections on a Unix socket, which has no reset', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'receiver-')), 'socket');
    const receiver = await listen({ path, messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const clients = [new Client(receiver), new Client(receiver), new Client(receiver)] as const;
    clients[0].send(['t', TIME, RECORD, { chunk: 'c' }]);
    clients[1].send('nonsense');
    await until(() => clients[0].end !== undefined && clients[1].end !== undefined);
    await until(() => receiver.connectionCount === clients.length);
    receiver.resetConnections();
    await until(() => clients[2].end !== undefined);
  });

  it('the receiver resets a connection that sends no Forward message, and reports the reason', async () => {
    const receiver = await listen();
    const reasons: string[] = [];
    receiver.on('invalid', (error) => reasons.push(error.message));
    for (const nonsense of [{}, [1], ['t', [1]], ['t', ENTRIES, { compressed: 'lz4' }], ['t', 'x']]) {
      const client = new Client(receiver);
      client.send(nonsense);
      await until(() => client.end === 'RST');
    }
    expect(reasons).toHaveLength(5);
    expect(reasons[3]).toBe('the compression lz4 is unknown');
  });

  it('the receiver resets a connection whose message decompresses to more than 64 MiB', async () => {
    const receiver = await listen();
    const reasons: string[] = [];
    receiver.on('invalid', (error) => reasons.push(error.message));
    const bomb = zlib.gzipSync(Buffer.alloc(64 * 1024 * 1024 + 1));
    const client = new Client(receiver);
    client.send(['t', bomb, { chunk: 'c', compressed: 'gzip' }]);
    await until(() => client.end === 'RST');
    expect(reasons).toEqual(['Cannot create a Buffer larger than 67108864 bytes']);
  });

  it('the receiver takes a message of as many values as Fluent Bit does, and none of more than 8 Mi', async () => {
    const receiver = await listen();
    const reasons: string[] = [];
    receiver.on('invalid', (error) => reasons.push(error.message));
    // [1, [nil, …]]
    const message = (values: number) => {
      const entry = Buffer.alloc(values + 4, 0xc0);
      entry.set([0x92, 1, 0xdd]);
      entry.writeUInt32BE(values - 3, 3);
      return ['t', zlib.gzipSync(entry), { chunk: 'c', compressed: 'gzip' }];
    };
    const client = new Client(receiver);
    client.send(message(6_144_000));
    await until(() => client.answers.length === 1);
    client.send(message(8 * 1024 * 1024 + 1));
    await until(() => client.end === 'RST');
    expect(reasons).toEqual(['more than 8388608 values']);
  });

  it('waitForEntries rejects with the count of received entries after its timeout', async () => {
    const receiver = await listen();
    new Client(receiver).send(['t', TIME, RECORD]);
    await receiver.waitForEntries(1);
    await expect(receiver.waitForEntries(2, { timeoutMillis: 50 })).rejects.toThrow('received 1 of 2 entries in 50 ms');
  });

  it('iterating over the receiver gives the entries as they arrive, until its close', async () => {
    const receiver = await listen({ retain: false });
    const client = new Client(receiver);
    const tags: string[] = [];
    const reading = (async () => {
      for await (const { tag } of receiver) tags.push(tag);
    })();
    for (const tag of ['a', 'b']) client.send([tag, TIME, RECORD]);
    await receiver.waitForEntries(2);
    await receiver.close();
    await reading;
    expect(tags).toEqual(['a', 'b']);
    expect(receiver.entries).toEqual([]);
  });

  const ack = encode({ ack: 'c' });
  const faults: [fault: MessageFault, answered: Uint8Array, end: 'FIN' | 'RST' | undefined, taken: number][] = [
    [{ kind: 'withhold' }, Buffer.alloc(0), undefined, 1],
    [{ kind: 'delay', millis: 20 }, ack, undefined, 1],
    [{ kind: 'delay', until: Promise.resolve() }, ack, undefined, 1],
    [{ kind: 'misaddress' }, encode({ ack: 'nobody sent this chunk' }), undefined, 1],
    [{ kind: 'repeat', times: 2 }, Buffer.concat([ack, ack]), undefined, 1],
    [{ kind: 'refuse' }, encode({}), undefined, 0],
    [{ kind: 'close', when: 'before ack' }, Buffer.alloc(0), 'FIN', 1],
    [{ kind: 'close', when: 'after ack' }, ack, 'FIN', 1],
    [{ kind: 'reset', when: 'before ack' }, Buffer.alloc(0), 'RST', 1],
    [{ kind: 'truncate' }, ack.subarray(0, ack.length >> 1), undefined, 1],
    [{ kind: 'drip', millis: 1 }, ack, undefined, 1],
    [{ kind: 'garbage' }, Uint8Array.of(0xc1, 0xc1, 0xc1, 0xc1), undefined, 1],
    [{ kind: 'garbage', bytes: Uint8Array.of(7) }, Uint8Array.of(7), undefined, 1],
  ];

  it.each(faults)(
    'the receiver applies a message fault to one message only: %j',
    async (fault, answered, end, taken) => {
      const receiver = await listen({ messageFaults: [fault] });
      const client = new Client(receiver);
      client.send(['t', TIME, RECORD, { chunk: 'c' }]);
      await until(() => receiver.messageCount === 1 && client.answered.length >= answered.length && client.end === end);
      expect(client.answered).toEqual(Buffer.from(answered));
      expect(receiver.entryCount).toBe(taken);
      // The list of faults is used up: the next message is acknowledged.
      const next = new Client(receiver);
      next.send(['t', TIME, RECORD, { chunk: 'd' }]);
      await until(() => next.answered.length > 0);
      expect(next.answers).toEqual([{ ack: 'd' }]);
    },
  );

  it('the receiver resets a connection after the ack if the message fault says so', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'after ack' }] });
    const client = new Client(receiver);
    client.send(['t', TIME, RECORD, { chunk: 'c' }]);
    // The reset may overtake the ack in the client's kernel.
    await until(() => client.end === 'RST' || client.end === 'FIN');
  });

  it('the receiver sends acks in the order of the messages, also when one ack is delayed', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'delay', millis: 30 }] });
    const client = new Client(receiver);
    for (const chunk of ['a', 'b']) client.send(['t', TIME, RECORD, { chunk }]);
    await until(() => client.answers.length === 2);
    expect(client.answers).toEqual([{ ack: 'a' }, { ack: 'b' }]);
  });

  it('the receiver holds an ack back until the promise of its message fault resolves', async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const receiver = await listen({ messageFaults: [{ kind: 'delay', until: released }] });
    const [held, other] = [new Client(receiver), new Client(receiver)];
    held.send(['t', TIME, RECORD, { chunk: 'a' }]);
    await receiver.waitForEntries(1);
    other.send(['t', TIME, RECORD, { chunk: 'b' }]);
    await until(() => other.answers.length === 1);
    expect(held.answers).toEqual([]);
    release();
    await until(() => held.answers.length === 1);
    expect(held.answers).toEqual([{ ack: 'a' }]);
  });

  const message = encode(['t', TIME, RECORD, { chunk: 'c' }]);
  const connectionFaults: [fault: ConnectionFault, end: 'FIN' | 'RST' | undefined, taken: number][] = [
    [{ kind: 'close', afterBytes: 0 }, 'FIN', 0],
    [{ kind: 'reset', afterBytes: 0 }, 'RST', 0],
    [{ kind: 'close', afterBytes: message.length - 1 }, 'FIN', 0],
    [{ kind: 'reset', afterBytes: message.length - 1 }, 'RST', 0],
    [{ kind: 'close', afterBytes: message.length }, 'FIN', 1],
    [{ kind: 'stop reading', afterBytes: message.length }, undefined, 1],
  ];

  it.each(connectionFaults)(
    'the receiver applies a connection fault to one connection only: %j',
    async (fault, end, taken) => {
      const receiver = await listen({ connectionFaults: [fault] });
      const client = new Client(receiver);
      client.socket.write(message);
      await until(() => client.end === end && receiver.entryCount === taken);
      const next = new Client(receiver);
      next.socket.write(message);
      await receiver.waitForEntries(taken + 1);
      if (fault.kind !== 'stop reading') return;
      client.socket.write(message);
      next.socket.write(message);
      await receiver.waitForEntries(taken + 2);
      expect(receiver.messages.map(({ connection }) => connection)).toEqual([0, 1, 1]);
    },
  );

  it('the receiver takes new message faults while it runs, as a list or a function', async () => {
    const receiver = await listen();
    const client = new Client(receiver);
    client.send(['t', TIME, RECORD, { chunk: 'a' }]);
    await until(() => client.answers.length === 1);
    receiver.messageFaults = [undefined, { kind: 'withhold' }];
    for (const chunk of ['b', 'c', 'd']) client.send(['t', TIME, RECORD, { chunk }]);
    await until(() => client.answers.length === 3);
    receiver.messageFaults = ({ tag }) => (tag === 'bad' ? { kind: 'refuse' } : undefined);
    client.send(['bad', TIME, RECORD, { chunk: 'e' }]);
    await until(() => client.answers.length === 4);
    expect(client.answers).toEqual([{ ack: 'a' }, { ack: 'b' }, { ack: 'd' }, {}]);
  });
});
