import { afterEach, beforeEach, expect, test } from 'vitest';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { runExample } from './run-example.ts';

let receiver: ForwardReceiver;

beforeEach(async () => {
  receiver = await ForwardReceiver.listen();
});
afterEach(() => receiver.close());

/** What the receiver has from the example run with that layout. */
async function recordsOf(layout: string): Promise<unknown[]> {
  const { code, stdout, stderr } = await runExample('layouts/layouts.mjs', {
    args: [layout],
    env: { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint },
  });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  return receiver.entries.map(({ record }) => record);
}

const OWN_FIELDS = {
  severity_text: 'WARN',
  severity_number: 13,
  event_name: 'order.refused',
  observed_timestamp: '2023-11-14T22:13:20.223456789Z',
  scope: { name: 'http', version: '1.4.0' },
};

test('ecs: the names of the Elastic Common Schema, without health checks', async () => {
  expect(await recordsOf('ecs')).toEqual([
    {
      'service.name': 'shop',
      'host.name': 'h1',
      'http.request.method': 'POST',
      'url.path': '/orders',
      'order.lines': [{ 'item.id': 7 }],
      'ecs.version': '8.17.0',
      message: "{ order: 4711, reason: 'no stock' }",
      'log.level': 'warn',
      'log.logger': 'http',
      'event.severity': 13,
      'event.action': 'order.refused',
      'event.created': '2023-11-14T22:13:20.223456789Z',
    },
  ]);
});

test('dotless: no key of an attribute or the resource has a dot', async () => {
  expect(await recordsOf('dotless')).toEqual([
    {
      ...OWN_FIELDS,
      body: { order: 4711, reason: 'no stock' },
      attributes: { http_request_method: 'POST', url_path: '/orders', order_lines: [{ item_id: 7 }] },
      resource: { service_name: 'shop', host_name: 'h1' },
    },
    expect.objectContaining({ message: 'still here', attributes: { url_path: '/healthz' } }),
  ]);
});

test('renamed-body: the body is under log, whatever it is', async () => {
  const [object, text] = await recordsOf('renamed-body');
  expect(object).toMatchObject({ ...OWN_FIELDS, log: { order: 4711, reason: 'no stock' } });
  expect(text).toMatchObject({ log: 'still here' });
  for (const record of [object, text]) {
    expect(record).not.toHaveProperty('message');
    expect(record).not.toHaveProperty('body');
  }
});
