import { expect, it } from 'vitest';
import { runProgram } from '../support/run-program.ts';

const PROGRAM = 'test/testing/throwing-listeners.mjs';

it('a listener or script that throws is an uncaught exception, and the receiver works as if it had returned', async () => {
  const { code, stdout, stderr } = await runProgram(PROGRAM);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const happened = JSON.parse(stdout);
  // Both records are acknowledged over one connection. The stranger has the other.
  expect(happened).toMatchObject({ codes: [0, 0], connectionCount: 2, entryCount: 2 });
  expect(happened.invalid).toEqual(['the byte 0xc1, which is no MessagePack']);
  const events = [
    ...['connection', 'handshake', 'message', 'message', 'disconnect'],
    ...['connection', 'invalid', 'disconnect'],
    'close',
  ];
  expect(happened.seen).toEqual(events);
  const scripts = [
    ...Array(2).fill('script of connections'),
    ...Array(2).fill('script of handshakes'),
    ...Array(2).fill('script of messages'),
  ];
  expect(happened.uncaught.sort()).toEqual([...events, ...scripts].sort());
});

it('the error of a listener ends a process that does not handle uncaught exceptions', async () => {
  const { code, stdout, stderr } = await runProgram(PROGRAM, { args: ['die'] });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('Error: script of connections');
});
