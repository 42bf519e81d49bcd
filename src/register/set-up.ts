import { resolveProcessorConfig } from '../config/config.ts';
import { type Environment, VARIABLE_PREFIX } from '../config/env.ts';
import type { FluentForwardLogRecordProcessorOptions } from '../config/options.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { printable } from '../printable.ts';
import type { FluentForwardLogRecordProcessor } from '../processor.ts';
import type { Variables } from './variables.ts';

/** Says where log records go to, and how. */
export function describeSetUp(
  processor: FluentForwardLogRecordProcessor,
  options: FluentForwardLogRecordProcessorOptions,
  environment: Environment,
  variables: Variables,
  serviceName: unknown,
): string {
  // The processor has warned of what is wrong.
  const { layout, tag } = resolveProcessorConfig(options, environment, () => {});
  const tagText = typeof tag === 'string' ? tag : variables.text(`${VARIABLE_PREFIX}TAG`);
  const quoted = (value: unknown) => printable(JSON.stringify(value) ?? 'none');
  return `log records go to ${processor.endpoint}, with the tag ${quoted(tagText)}, the layout ${quoted(layout)} and the service name ${quoted(serviceName)}`;
}

/** Says so at the end of the process if not one record came. */
export function reportSilence(processor: FluentForwardLogRecordProcessor, diagnostics: Diagnostics): void {
  process.on('exit', () => {
    if (processor.stats().emitted > 0) return;
    diagnostics.info(
      'not one log record came in this process: does the application log through the logs API of OpenTelemetry, or is ' +
        'the instrumentation of its logger (pino, winston, bunyan) installed and loaded?',
    );
  });
}
