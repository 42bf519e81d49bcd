import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LayoutFunction } from '../../src/index.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { record, roundTrip } from '../support/records.ts';
import { runExample } from './run-example.ts';

let receiver: ForwardReceiver;

beforeEach(async () => {
  receiver = await ForwardReceiver.listen();
});
afterEach(() => receiver.close());

/** The records that the receiver gets from the example with that layout. */
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

test('the layout ecs uses the names of the Elastic Common Schema and leaves health checks out', async () => {
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

/** The layout function of an example. */
async function example(name: 'ecs' | 'dotless'): Promise<LayoutFunction> {
  const module = await import(new URL(`../../examples/layouts/${name}.mjs`, import.meta.url).href);
  return module[name];
}

test('the layout ecs writes all of a body on one line', async () => {
  const list = Array.from({ length: 200 }, (_, i) => i);
  const body = { a: { b: { c: { d: { e: 'deep' } } } }, list, text: 'x'.repeat(20_000) };
  const { message } = roundTrip(record({ body, attributes: {} }), { layout: await example('ecs') }).record;
  expect(message).toBe(
    `{ a: { b: { c: { d: { e: 'deep' } } } }, list: [ ${list.join(', ')} ], text: '${'x'.repeat(20_000)}' }`,
  );
});

test('the layout ecs turns attributes with names that are taken into labels', async () => {
  const given = record({
    body: 'hello',
    attributes: { message: 'mine', 'log.level': 'mine too', 'service.name': 'a', 'labels.message': 1 },
    resource: { attributes: { 'service.name': 'r', 'trace.id': 'r' } },
    droppedAttributesCount: 3,
  });
  expect(roundTrip(given, { layout: await example('ecs'), fields: { env: 'prod' } }).record).toEqual({
    'ecs.version': '8.17.0',
    message: 'hello',
    'labels.message': 'mine',
    'labels.labels.message': 1,
    'labels.log.level': 'mine too',
    'service.name': 'a',
    'labels.service.name': 'r',
    'labels.trace.id': 'r',
    'labels.dropped_attributes_count': 3,
    env: 'prod',
  });
});

test('the layout dotless leaves no dot in a key of a map and loses no key', async () => {
  const at = new Date(0);
  const given = record({
    body: { 'c.d': [{ 'e.f': at }] },
    attributes: { 'a.b': 1, a_b: 2, 'a_b.': 3, 'a.b_': 4, 'x.y': {} },
    instrumentationScope: { name: 'lib', attributes: { 's.t': 1 } },
  });
  expect(roundTrip(given, { layout: await example('dotless'), fields: { 'g.h': { 'i.j': 1 } } }).record).toEqual({
    body: { c_d: [{ e_f: '1970-01-01T00:00:00.000Z' }] },
    attributes: { a_b: 2, a_b_: 1, a_b__: 3, a_b___: 4, x_y: {} },
    scope: { name: 'lib', attributes: { s_t: 1 } },
    g_h: { i_j: 1 },
  });
});

test('the layout dotless takes a body that refers to itself', async () => {
  const body: Record<string, unknown> = { 'a.b': 1 };
  body['it.self'] = body;
  const attributes = JSON.parse('{ "__proto__": { "a.b": 1 } }');
  expect(roundTrip(record({ body, attributes }), { layout: await example('dotless') }).record).toEqual({
    body: { a_b: 1, it_self: '[Circular]' },
    attributes: { ['__proto__']: { a_b: 1 } },
  });
});

test('the layout dotless leaves no dot in a key of attributes or the resource', async () => {
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

test('the layout renamed-body puts every body under log', async () => {
  const [object, text] = await recordsOf('renamed-body');
  expect(object).toMatchObject({ ...OWN_FIELDS, log: { order: 4711, reason: 'no stock' } });
  expect(text).toMatchObject({ log: 'still here' });
  for (const record of [object, text]) {
    expect(record).not.toHaveProperty('message');
    expect(record).not.toHaveProperty('body');
  }
});
