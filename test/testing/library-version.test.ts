import { deepStrictEqual } from 'node:assert';
import { connect } from 'node:net';
import { it, onTestFinished, vi } from 'vitest';
import { ForwardReceiver } from '../../src/testing/index.ts';

// Version 3.1.3 refuses the map key `__proto__`, a later one also `constructor` and `prototype`. A version that
// refuses everything shows that no record gets there.
vi.mock('@msgpack/msgpack', async (importOriginal) => {
  const refuse = (): never => {
    throw new Error('the decoder of the library was used');
  };
  class Decoder {
    decode = refuse;
    decodeMulti = refuse;
  }
  return { ...(await importOriginal<object>()), Decoder, decode: refuse, decodeMulti: refuse };
});

it('the receiver decodes records without the decoder of @msgpack/msgpack, so any version of it will do', async () => {
  const { encode } = await import('@msgpack/msgpack');
  const receiver = await ForwardReceiver.listen();
  onTestFinished(() => receiver.close());
  const record = JSON.parse('{"__proto__":{"x":1},"constructor":{"prototype":2},"prototype":3}');
  const option = { chunk: 'c', ...JSON.parse('{"__proto__":1}') };
  const entry = encode([1_700_000_000, record]);
  const socket = connect(receiver.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(encode(['t', 1_700_000_000, record, option]));
  socket.write(encode(['t', [[1_700_000_000, record]], option]));
  socket.write(encode(['t', entry, option]));
  const entries = await receiver.waitForEntries(3);
  for (const { record: received } of entries) deepStrictEqual(received, record);
  for (const { option: received } of receiver.messages) deepStrictEqual(received, option);
});
