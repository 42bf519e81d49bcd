import { describe, expect } from 'vitest';
import { until } from '../support/fake-clock.ts';
import { testFaults } from './fault-case.ts';

const MANY = 10_000;

describe('many exports at once', () => {
  testFaults([
    {
      name: '10,000 exports at once are all acknowledged over one connection',
      happens: async (run) => {
        await run.prove();
        const { listeners } = run.sockets;
        run.send(MANY);
        await until(() => run.isSettled);
        expect(run.sockets.dialled).toBe(1);
        expect(run.sockets.listeners).toBe(listeners);
      },
      // With the receiver's part and the test's own. A buffer of 64 KiB for each export would be 625.
      maxGrowth: { withGarbage: 256, used: 64 },
    },
    {
      name: '10,000 exports at once all fail at their deadline if no receiver listens',
      receivers: [],
      options: () => ({ endpoint: 'tcp://127.0.0.1:1' }),
      happens: async (run) => {
        run.send(MANY);
        await run.warned();
        expect(run.sockets.open.length).toBeLessThanOrEqual(1);
      },
      settlesAfter: 25_000,
      results: Array.from({ length: MANY }, () => 'FLUENT_FORWARD_TIMEOUT'),
      cause: 'FLUENT_FORWARD_CONNECT_FAILED',
      warns: [/connection refused/],
      maxGrowth: { withGarbage: 256, used: 64 },
      isFinal: true,
    },
  ]);
});
