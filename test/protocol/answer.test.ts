import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Answer, AnswerReader } from '../../src/protocol/answer.ts';
import { FrameError } from '../../src/protocol/frame.ts';

const ID = 'uPzmLyTtRNyTbq2pYGvMaw==';
const ACK: Answer = { kind: 'ack', chunk: ID };
const NOT_ACCEPTED: Answer = { kind: 'not accepted' };

const NOT_UTF8 = Buffer.from('ff00c180fe90a4c1ff00c180fe90a4c1', 'hex');
const HELLO: Answer = { kind: 'hello', hello: { nonce: NOT_UTF8, auth: NOT_UTF8, keepAlive: true } };
const PONG: Answer = {
  kind: 'pong',
  pong: { isAccepted: false, reason: 'no \ufffd', hostname: NOT_UTF8, digest: Buffer.from('d') },
};
/** Fluent Bit's: nonce and auth are str of 16 raw bytes. */
const FLUENT_BIT_HELO = Buffer.concat([
  Buffer.from([0x92, 0xa4]),
  Buffer.from('HELO'),
  Buffer.from([0x82, 0xa5]),
  Buffer.from('nonce'),
  Buffer.from([0xb0]),
  NOT_UTF8,
  Buffer.from([0xa4]),
  Buffer.from('auth'),
  Buffer.from([0xb0]),
  NOT_UTF8,
]);

function read(...parts: readonly Uint8Array[]): Answer[] {
  const reader = new AnswerReader();
  return parts.flatMap((part) => [...reader.push(Buffer.from(part))]);
}

describe('answers', () => {
  it.each<[string, Uint8Array, Answer]>([
    ['an ack with a str id', encode({ ack: ID }), ACK],
    ['an ack with a bin id', encode({ ack: Buffer.from(ID) }), ACK],
    ['an ack with other keys', encode({ x: [1, { y: null }], ack: ID, z: 1.5 }), ACK],
    ['an ack of a long id', encode({ ack: 'x'.repeat(300) }), { kind: 'ack', chunk: 'x'.repeat(300) }],
    ['an ack of an empty id', encode({ ack: '' }), { kind: 'ack', chunk: '' }],
    ['an empty map', encode({}), NOT_ACCEPTED],
    ['a map without ack', encode({ error: 'no' }), NOT_ACCEPTED],
    ['a nil ack', encode({ ack: null }), NOT_ACCEPTED],
    ['an ack that is a number', encode({ ack: 1 }), NOT_ACCEPTED],
    ['an ack that is an array', encode({ ack: [ID] }), NOT_ACCEPTED],
    ['the HELO of Fluent Bit', FLUENT_BIT_HELO, HELLO],
    ['the HELO of Fluentd', encode(['HELO', { nonce: NOT_UTF8, auth: NOT_UTF8, keepalive: true }]), HELLO],
    [
      'a HELO that wants one message a connection',
      encode(['HELO', { nonce: NOT_UTF8, auth: new Uint8Array(0), keepalive: false }]),
      { kind: 'hello', hello: { nonce: NOT_UTF8, auth: Buffer.alloc(0), keepAlive: false } },
    ],
    ['a PONG', encode(['PONG', false, Buffer.from('6e6f20ff', 'hex'), NOT_UTF8, 'd']), PONG],
  ])('the answer reader returns what a receiver sends: %s', (_, bytes, expected) => {
    expect(read(bytes)).toEqual([expected]);
  });

  it('the answer reader returns answers in order, however their bytes are split', () => {
    const stream = Buffer.concat([encode({ ack: ID }), encode({}), FLUENT_BIT_HELO, encode({ ack: Buffer.from('b') })]);
    const expected = [ACK, NOT_ACCEPTED, HELLO, { kind: 'ack', chunk: 'b' }];
    expect(read(...[...stream].map((byte) => Buffer.of(byte)))).toEqual(expected);
    for (let at = 0; at <= stream.length; at++) {
      expect(read(stream.subarray(0, at), stream.subarray(at))).toEqual(expected);
    }
  });
});

describe('data that is no answer', () => {
  it.each([
    ['nil', encode(null), 'a value that is neither map nor array'],
    ['a string', encode('ack'), 'a value that is neither map nor array'],
    ['a number', encode(1), 'a value that is neither map nor array'],
    ['bytes', encode(Buffer.from('ack')), 'a value that is neither map nor array'],
    ['a timestamp', Buffer.from('d6ff00000000', 'hex'), 'a value that is neither map nor array'],
    ['an unknown ext', Buffer.from('d40500', 'hex'), 'a value that is neither map nor array'],
    ['an empty array', encode([]), 'an array that is neither HELO nor PONG'],
    ['a PING', encode(['PING', 'host']), 'an array that is neither HELO nor PONG'],
    ['a HELO without options', encode(['HELO']), 'a HELO without nonce and auth'],
    ['a HELO without nonce', encode(['HELO', { auth: NOT_UTF8 }]), 'a HELO without nonce and auth'],
    ['a HELO whose auth is a number', encode(['HELO', { nonce: NOT_UTF8, auth: 1 }]), 'a HELO without nonce and auth'],
    [
      'a PONG that is 1 in place of true',
      encode(['PONG', 1, '', 'host', 'digest']),
      'a PONG of another form than [PONG, boolean, reason, hostname, digest]',
    ],
    [
      'a PONG without digest',
      encode(['PONG', true, '', 'host']),
      'a PONG of another form than [PONG, boolean, reason, hostname, digest]',
    ],
    [
      'an alert of TLS',
      Buffer.from('15030100020246', 'hex'),
      'what looks like a TLS alert: it wants tls:// in place of tcp://',
    ],
    ['a key that is no string', Buffer.from('81c0c0', 'hex'), 'a message that cannot be decoded'],
    [
      'a key __proto__',
      Buffer.concat([Buffer.from([0x81]), encode('__proto__'), encode({})]),
      'a message that cannot be decoded',
    ],
    ['a timestamp of a wrong size', Buffer.from('91d4ff00', 'hex'), 'a message that cannot be decoded'],
    ['no MessagePack', Buffer.of(0xc1), 'the byte 0xc1, which is no MessagePack'],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n'), 'a value that is neither map nor array'],
    ['100 MB', Buffer.from('81a361636bdb05f5e100', 'hex'), 'a message of more than 65536 bytes'],
  ])('the answer reader rejects data that is no answer: %s', (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(new FrameError(message));
  });

  it('the answer reader returns the answers that come before data that is no answer', () => {
    const answers: Answer[] = [];
    expect(() => {
      const data = Buffer.concat([encode({ ack: ID }), encode(null)]);
      for (const answer of new AnswerReader().push(data)) answers.push(answer);
    }).toThrow(FrameError);
    expect(answers).toEqual([ACK]);
  });

  it('the answer reader throws only FrameError, whatever bytes arrive', () => {
    const pong = encode(['PONG', true, '', 'host', 'digest']);
    const messages = [encode({ ack: ID, list: [1.5, 'x', { y: [] }] }), FLUENT_BIT_HELO, pong].map((bytes) =>
      Buffer.from(bytes),
    );
    const broken = fc
      .tuple(fc.constantFrom(...messages), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
      .map(([message, changes]) => {
        const copy = Buffer.from(message);
        for (const [at, byte] of changes) copy[at % copy.length] = byte;
        return copy;
      });
    const random = fc.uint8Array({ maxLength: 200 }).map((data) => Buffer.from(data));
    const property = fc.property(fc.oneof(random, broken), (data) => {
      try {
        for (const { kind } of read(data)) expect(['ack', 'not accepted', 'hello', 'pong']).toContain(kind);
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
      }
    });
    fc.assert(property, { seed: 1, numRuns: 5_000 });
  });
});
