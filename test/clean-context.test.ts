import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, it } from 'vitest';
import { inCleanContext } from '../src/clean-context.ts';
import { exporterFixture } from './support/exporter-fixture.ts';
import { LONG_LIMIT_VARIABLES } from './support/long-limits.ts';
import { runProgram } from './support/run-program.ts';

const { listen } = exporterFixture();
const NODE_MAJOR = Number.parseInt(process.versions.node, 10);

it.each(['require', 'import'])(
  'a package that a request loads by %s runs without the store of the request and leaves no open handle',
  async (load) => {
    const { port } = await listen();
    const { code, stdout, stderr } = await runProgram('test/support/lazy-load.mjs', {
      nodeOptions: ['--expose-gc'],
      args: [load, String(port)],
      env: LONG_LIMIT_VARIABLES,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      code: 0,
      seen: [
        ['connection:opened', 'no store'],
        ['chunk:acknowledged', 'no store'],
      ],
      // Up to Node.js 22 the loader of ES modules keeps the store of every import.
      isCollected: load === 'require' || NODE_MAJOR >= 24 ? true : expect.any(Boolean),
      openConnections: 1,
      openHandles: [],
    });
  },
);

it('the clean context removes every store from what it runs and from nothing else', async () => {
  const [one, another] = [new AsyncLocalStorage<string>(), new AsyncLocalStorage<number>()];
  const stores = () => [one.getStore(), another.getStore()];
  await one.run('a', () =>
    another.run(7, async () => {
      const { now, later } = inCleanContext(() => ({
        now: stores(),
        later: new Promise((resolve) => setTimeout(() => resolve(stores()))),
      }));
      expect(now).toEqual([undefined, undefined]);
      expect(stores()).toEqual(['a', 7]);
      expect(await later).toEqual([undefined, undefined]);
      expect(() => inCleanContext(() => fail())).toThrow('from within');
      expect(stores()).toEqual(['a', 7]);
      expect(inCleanContext(() => inCleanContext(() => one.run('b', stores)))).toEqual(['b', undefined]);
    }),
  );
});

function fail(): never {
  throw new Error('from within');
}
