import { encode } from '@msgpack/msgpack';
import { Exam } from 'msgpack-test-js';
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import { OtlpValueWriter } from '../../src/encode/otlp-value.ts';
import { ValueWriter } from '../../src/encode/value.ts';
import { Writer } from '../../src/encode/writer.ts';
import { FrameReader } from '../../src/protocol/frame.ts';
import { decodeMessage, type ReceivedEntry } from '../../src/testing/message.ts';

/** A public set of values and of all that MessagePack allows for them. We write no ext, and no timestamp. */
const TYPES = { array: 1, bignum: 1, bool: 1, map: 1, nil: 1, number: 1, string: 1 };
const exams = Exam.getExams({ ...TYPES, binary: 1 });
const titleOf = (exam: Exam): string => exam.stringify(0);

/** The exam's value as JavaScript has it. */
function valueIn(exam: Exam, type: { toString(): string }): unknown {
  const value: unknown = exam.getValue(String(type));
  return String(type) === 'bignum' ? BigInt(String(value)) : value;
}

function written(Values: typeof ValueWriter, value: unknown): Buffer {
  const writer = new Writer(new BufferPool(), 1024);
  new Values(writer, 262_144).value(value, 0);
  return writer.buffer.subarray(0, writer.position);
}

describe('the encoder', () => {
  it.each(exams.map((exam) => [titleOf(exam), exam] as const))(
    'the encoder writes a value in a form that the public MessagePack suite allows: %s',
    (_, exam) => {
      for (const type of exam.getTypes(TYPES)) {
        const value = valueIn(exam, type);
        if (!isBeyondInt64(value)) expect(exam.matchMsgpack(written(ValueWriter, value))).toBe(true);
      }
      for (const type of exam.getTypes({ ...TYPES, binary: 1 })) {
        const value = valueIn(exam, type);
        if (isBeyondInt64(value)) continue;
        // An empty string stands for no bytes.
        if (value instanceof Uint8Array && value.length === 0) continue;
        expect(exam.matchMsgpack(written(OtlpValueWriter, value))).toBe(true);
      }
    },
  );
});

describe('the decoder', () => {
  it.each(exams.map((exam) => [titleOf(exam), exam] as const))(
    'the decoder reads every form that the public MessagePack suite has of a value: %s',
    (_, exam) => {
      for (const bytes of exam.getMsgpacks().map((bytes) => Buffer.from(bytes))) {
        expect([...new FrameReader(64 * 1024).push(bytes)]).toEqual([bytes]);
        const message = Buffer.concat([
          Uint8Array.of(0x93),
          encode('tag'),
          encode(1),
          Uint8Array.of(0x81),
          encode('v'),
          bytes,
        ]);
        const [{ record }] = decodeMessage(message, 0).entries as [ReceivedEntry];
        const { v } = record as { v: unknown };
        const types = exam.getTypes({ ...TYPES, binary: 1 });
        expect(types.some((type) => isSame(v, valueIn(exam, type)))).toBe(true);
      }
    },
  );
});

/** Receivers get its digits as a string. */
function isBeyondInt64(value: unknown): boolean {
  return typeof value === 'bigint' && BigInt.asIntN(64, value) !== value;
}

function isSame(one: unknown, other: unknown): boolean {
  if (one instanceof Uint8Array && other instanceof Uint8Array) return Buffer.compare(one, other) === 0;
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint and a number of the same value
  return one == other || JSON.stringify(one) === JSON.stringify(other);
}
