import { describe, expect } from 'vitest';
import { until } from '../support/fake-clock.ts';
import { faults } from './row.ts';

const MANY = 10_000;

describe('10,000 exports at once', () => {
  faults([
    {
      name: 'are all acknowledged over one connection',
      happens: async (scene) => {
        await scene.prove();
        const { listeners } = scene.sockets;
        scene.send(MANY);
        await until(() => scene.isSettled);
        expect(scene.sockets.dialled).toBe(1);
        expect(scene.sockets.listeners).toBe(listeners);
      },
      // The receiver's part and the test's own are in there too.
      grows: 128,
    },
    {
      name: 'all fail where no receiver is',
      receivers: [],
      options: () => ({ endpoint: 'tcp://127.0.0.1:1' }),
      happens: async (scene) => {
        scene.send(MANY);
        await scene.warned();
        expect(scene.sockets.open.length).toBeLessThanOrEqual(1);
      },
      settlesAfter: 25_000,
      results: Array.from({ length: MANY }, () => 'FLUENT_FORWARD_TIMEOUT'),
      cause: 'FLUENT_FORWARD_CONNECT_FAILED',
      warns: [/connection refused/],
      grows: 128,
      isFinal: true,
    },
  ]);
});
