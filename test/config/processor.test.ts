import { describe, expect, it } from 'vitest';
import { resolveExporterConfig, resolveProcessorConfig } from '../../src/config/config.ts';
import type { FluentForwardLogRecordProcessorOptions } from '../../src/config/options.ts';
import { FluentForwardLogRecordProcessor } from '../../src/index.ts';

const PREFIX = 'OTEL_EXPORTER_FLUENT_FORWARD_';

/** Resolves `options`, of any shape, with variables, whose names lack the prefix. */
function resolve(options: object = {}, environment: Record<string, string> = {}) {
  const warnings: string[] = [];
  const variables = Object.fromEntries(Object.entries(environment).map(([name, text]) => [PREFIX + name, text]));
  const warn = (message: string) => void warnings.push(message);
  return {
    config: resolveProcessorConfig(options as FluentForwardLogRecordProcessorOptions, variables, warn),
    warnings,
  };
}

describe('the configuration of a processor', () => {
  it('the processor has the defaults of the exporter for the options that they share', () => {
    const { scheduledDelayMillis, ...shared } = resolve().config;
    const { timeoutMillis: _, ...ofExporter } = resolveExporterConfig({}, {}, () => {});
    expect(shared).toEqual(ofExporter);
    expect(scheduledDelayMillis).toBe(200);
    expect(Object.isFrozen(resolve().config)).toBe(true);
  });

  it('scheduledDelayMillis is taken from code, else from its variable, else it is 200', () => {
    const environment = { SCHEDULE_DELAY: '1500' };
    expect(resolve({}, environment).config.scheduledDelayMillis).toBe(1_500);
    expect(resolve({ scheduledDelayMillis: 0 }, environment).config.scheduledDelayMillis).toBe(0);
    expect(resolve({ scheduledDelayMillis: undefined }, environment).config.scheduledDelayMillis).toBe(1_500);
    expect(resolve({ scheduledDelayMillis: 2 ** 31 - 1 }).config.scheduledDelayMillis).toBe(2 ** 31 - 1);
  });

  it.each([-1, 0.5, 2 ** 31, Number.NaN, '200'])('scheduledDelayMillis must not be %s', (scheduledDelayMillis) => {
    expect(() => resolve({ scheduledDelayMillis })).toThrow(/^option scheduledDelayMillis: got .*allowed: /);
  });

  it.each(['-1', '0.5', 'soon', '2147483648'])('a bad variable counts as unset, with a warning: %s', (text) => {
    const { config, warnings } = resolve({}, { SCHEDULE_DELAY: text });
    expect(config.scheduledDelayMillis).toBe(200);
    expect(warnings.join()).toMatch(new RegExp(`^${PREFIX}SCHEDULE_DELAY: got .*using 200`));
  });

  it('timeoutMillis in code throws, and the message says that it is an option of the exporter', () => {
    const options = { timeoutMillis: 10_000 } as FluentForwardLogRecordProcessorOptions;
    const message = /^option timeoutMillis: .*belongs to FluentForwardLogExporter/;
    expect(() => resolve(options)).toThrow(message);
    expect(() => resolve(options)).toThrow(TypeError);
    expect(() => new FluentForwardLogRecordProcessor(options)).toThrow(message);
  });

  it('the variable of timeoutMillis is ignored, whatever it is, and contradicts no other option', () => {
    for (const TIMEOUT of ['1', '10000', 'soon']) {
      const { config, warnings } = resolve({}, { TIMEOUT });
      expect([config, warnings]).toEqual([resolve().config, []]);
    }
  });

  it('the exporter rejects scheduledDelayMillis in code and ignores its variable', () => {
    const options = { scheduledDelayMillis: 100 };
    expect(() => resolveExporterConfig(options as object, {}, () => {})).toThrow(
      /^option scheduledDelayMillis: .*belongs to FluentForwardLogRecordProcessor/,
    );
    const warnings: string[] = [];
    const config = resolveExporterConfig({}, { [`${PREFIX}SCHEDULE_DELAY`]: 'soon' }, (text) => warnings.push(text));
    expect(config).not.toHaveProperty('scheduledDelayMillis');
    expect(warnings).toEqual([]);
  });

  it('an unknown option throws', () => {
    expect(() => resolve({ scheduleDelayMillis: 1 })).toThrow(/scheduleDelayMillis/);
  });
});
