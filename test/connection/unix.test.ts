import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cases } from '../support/cases.ts';
import { until } from '../support/fake-clock.ts';

const { listen, start, warnings } = cases();

function freshPath(): string {
  return join(mkdtempSync(join(tmpdir(), 'forward-')), 'forward.sock');
}

describe('a Unix socket', () => {
  it('takes and acknowledges chunks, and rotates like any other', async () => {
    const receiver = await listen({ path: freshPath() });
    const { clock, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 1_000 });
    expect((await send('a')).code).toBe(0);
    await clock.advance(500);
    await until(() => receiver.connectionCount === 2);
    expect((await send('b')).code).toBe(0);
    expect(receiver.messages.map(({ connection }) => connection)).toEqual([0, 1]);
  });

  it.each([
    [
      'a file that is no socket',
      () => {
        const path = freshPath();
        writeFileSync(path, '');
        return path;
      },
    ],
    ['a path longer than the system allows', () => `/tmp/${'x'.repeat(300)}`],
  ])('fails with a clear error for %s', async (_, path) => {
    const { clock, send } = start({ endpoint: `unix://${path()}`, timeoutMillis: 1_000 });
    const result = send('a');
    await until(() => warnings().length > 0);
    await clock.advance(1_000);
    const { error } = await result;
    expect(error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    expect(error?.cause).toMatchObject({ code: 'FLUENT_FORWARD_CONNECT_FAILED' });
  });
});
