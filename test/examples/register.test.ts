import { expect, test } from 'vitest';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { runExample } from './run-example.ts';

test('register sends the record of an application without an exporter, with the service name of the variables', async () => {
  const receiver = await ForwardReceiver.listen();
  const { code, stdout, stderr } = await runExample('register/app.mjs', {
    nodeOptions: ['--import', 'opentelemetry-exporter-fluent-forward/register'],
    env: { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint, OTEL_SERVICE_NAME: 'shop' },
  });
  await receiver.close();
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(receiver.entries.map(({ record }) => record)).toMatchObject([
    { message: 'order placed', attributes: { 'order.id': 4711 }, resource: { 'service.name': 'shop' } },
  ]);
});
