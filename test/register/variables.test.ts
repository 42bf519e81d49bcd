import { describe, expect, test } from 'vitest';
import { readActivation } from '../../src/register/activation.ts';
import { describeIgnored, readProcessorOptions } from '../../src/register/processor-options.ts';
import { readRecordLimits } from '../../src/register/record-limits.ts';
import { readResourceAttributes } from '../../src/register/resource-attributes.ts';
import { Variables } from '../../src/register/variables.ts';

/** What is read from the variables, and the warnings. */
function reading<T>(read: (variables: Variables) => T, environment: Record<string, string>) {
  const warnings: string[] = [];
  const value = read(new Variables(environment, (message) => warnings.push(message)));
  return { value, warnings };
}

describe('OTEL_SDK_DISABLED and OTEL_LOGS_EXPORTER', () => {
  const active = { kind: 'active' };
  test.each([
    [{}, active],
    [{ OTEL_SDK_DISABLED: ' ', OTEL_LOGS_EXPORTER: ' , ' }, active],
    [{ OTEL_SDK_DISABLED: 'FALSE', OTEL_LOGS_EXPORTER: ' FLUENT_FORWARD ' }, active],
    [{ OTEL_LOGS_EXPORTER: 'none,fluent_forward' }, active],
    [{ OTEL_SDK_DISABLED: 'true', OTEL_LOGS_EXPORTER: 'fluent_forward' }, { kind: 'disabled' }],
    [{ OTEL_LOGS_EXPORTER: 'otlp,console' }, { kind: 'others', exporters: 'otlp, console' }],
    [{ OTEL_LOGS_EXPORTER: 'fluent' }, { kind: 'others', exporters: 'fluent' }],
  ])('OTEL_SDK_DISABLED and OTEL_LOGS_EXPORTER decide whether register is active: %j', (environment, activation) => {
    expect(reading(readActivation, environment)).toEqual({ value: activation, warnings: [] });
  });

  test('a bad OTEL_SDK_DISABLED counts as false, with a warning', () => {
    expect(reading(readActivation, { OTEL_SDK_DISABLED: 'yes\x1b' })).toEqual({
      value: active,
      warnings: ['OTEL_SDK_DISABLED: got "yes\\u{1b}", allowed: true or false; using false'],
    });
  });
});

describe('OTEL_BLRP_*', () => {
  test.each([
    [{}, { scheduledDelayMillis: 200 }],
    [{ OTEL_BLRP_SCHEDULE_DELAY: ' 0 ' }, { scheduledDelayMillis: 0 }],
    [
      { OTEL_BLRP_SCHEDULE_DELAY: '5000', OTEL_EXPORTER_FLUENT_FORWARD_SCHEDULE_DELAY: ' ' },
      { scheduledDelayMillis: 5_000 },
    ],
    [{ OTEL_BLRP_SCHEDULE_DELAY: '5000', OTEL_EXPORTER_FLUENT_FORWARD_SCHEDULE_DELAY: '1' }, {}],
  ])('OTEL_BLRP_SCHEDULE_DELAY is the delay unless the own variable is set: %j', (environment, options) => {
    expect(reading(readProcessorOptions, environment)).toEqual({ value: options, warnings: [] });
  });

  test('a bad OTEL_BLRP_SCHEDULE_DELAY counts as unset, with a warning', () => {
    expect(reading(readProcessorOptions, { OTEL_BLRP_SCHEDULE_DELAY: '-1' })).toEqual({
      value: { scheduledDelayMillis: 200 },
      warnings: ['OTEL_BLRP_SCHEDULE_DELAY: got "-1", allowed: an integer from 0 to 2147483647; using 200'],
    });
  });

  test.each([
    [{}, undefined],
    [{ OTEL_BLRP_SCHEDULE_DELAY: '1', OTEL_BLRP_MAX_QUEUE_SIZE: ' ' }, undefined],
    [{ OTEL_BLRP_MAX_QUEUE_SIZE: '9' }, 'OTEL_BLRP_MAX_QUEUE_SIZE'],
    [
      { OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: '9', OTEL_BLRP_MAX_QUEUE_SIZE: '9', OTEL_BLRP_EXPORT_TIMEOUT: 'x' },
      'OTEL_BLRP_EXPORT_TIMEOUT, OTEL_BLRP_MAX_QUEUE_SIZE, OTEL_BLRP_MAX_EXPORT_BATCH_SIZE',
    ],
  ])('other OTEL_BLRP variables have no effect, and are named if they are set: %j', (environment, names) => {
    const message =
      names &&
      `these variables have no effect: ${names}; FluentForwardLogRecordProcessor has no queue, and OTEL_EXPORTER_FLUENT_FORWARD_MAX_IN_FLIGHT_BYTES limits what it holds`;
    expect(reading(describeIgnored, environment)).toEqual({ value: message, warnings: [] });
  });
});

test.each([
  [{}, 128, Number.POSITIVE_INFINITY, 0],
  [{ OTEL_ATTRIBUTE_COUNT_LIMIT: '5', OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '6' }, 5, 6, 0],
  [{ OTEL_ATTRIBUTE_COUNT_LIMIT: '5', OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: '0' }, 0, Number.POSITIVE_INFINITY, 0],
  [{ OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT: '7' }, 128, 7, 0],
  [{ OTEL_ATTRIBUTE_COUNT_LIMIT: '5', OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: 'x' }, 5, Number.POSITIVE_INFINITY, 1],
])(
  'the limits of log records come from these variables: %j',
  (environment, attributeCountLimit, attributeValueLengthLimit, warningCount) => {
    const { value, warnings } = reading(readRecordLimits, environment);
    expect(value).toEqual({ attributeCountLimit, attributeValueLengthLimit });
    expect(warnings).toHaveLength(warningCount);
  },
);

describe('OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME', () => {
  test.each([
    [{}, {}],
    [{ OTEL_SERVICE_NAME: ' shop ' }, { 'service.name': 'shop' }],
    [{ OTEL_RESOURCE_ATTRIBUTES: ' a = b ,, c=,d=%C3%A9%2C%3D%20 ' }, { a: 'b', c: '', d: 'é,= ' }],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'a=1,a=2,%61%3D=3' }, { a: '2', 'a=': '3' }],
    [{ OTEL_RESOURCE_ATTRIBUTES: 'service.name=a', OTEL_SERVICE_NAME: 'b' }, { 'service.name': 'b' }],
    [{ OTEL_RESOURCE_ATTRIBUTES: '__proto__=x' }, JSON.parse('{"__proto__":"x"}')],
  ])(
    'OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME give the attributes of the resource: %j',
    (environment, attributes) => {
      expect(reading(readResourceAttributes, environment)).toEqual({ value: attributes, warnings: [] });
    },
  );

  test.each([
    ['a=b,c', '"c" is no key=value'],
    ['a=b,=c', '"=c" is no key=value'],
    ['a=b=c', '"a=b=c" is no key=value; an = in either is written %3D'],
    ['a=%E9', '"%E9" cannot be percent-decoded'],
  ])('a bad OTEL_RESOURCE_ATTRIBUTES counts as unset, with a warning: %s', (text, reason) => {
    const { value, warnings } = reading(readResourceAttributes, {
      OTEL_RESOURCE_ATTRIBUTES: text,
      OTEL_SERVICE_NAME: 'shop',
    });
    expect(value).toEqual({ 'service.name': 'shop' });
    expect(warnings).toEqual([expect.stringContaining(`OTEL_RESOURCE_ATTRIBUTES: got "${text}" (${reason}`)]);
    expect(warnings[0]).toMatch(/; using none$/);
  });
});
