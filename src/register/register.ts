import type { LoggerProvider, LogRecordProcessor } from '@opentelemetry/sdk-logs';
import { hasLoggerProvider } from '../api-globals.ts';
import { systemClock } from '../clock.ts';
import type { Environment } from '../config/env.ts';
import { Diagnostics } from '../diagnostics.ts';
import { messageOf } from '../errors.ts';
import { flushOnSignals } from '../exit/signals.ts';
import { printable } from '../printable.ts';
import { FluentForwardLogRecordProcessor } from '../processor.ts';
import { readActivation } from './activation.ts';
import { setConsoleDiag } from './console-diag.ts';
import { readDetectors } from './detectors.ts';
import { describeIgnored, readProcessorOptions } from './processor-options.ts';
import { readRecordLimits } from './record-limits.ts';
import { type Attributes, readResourceAttributes } from './resource-attributes.ts';
import { type ApiLogs, findSdk, INSTALL_COMMAND, type Sdk } from './sdk.ts';
import { describeSetUp, reportSilence } from './set-up.ts';
import { Variables } from './variables.ts';

/** Sends the log records of the process to Fluent, or says why it does not. Never throws: the application comes first. */
export function register(environment: Environment): void {
  try {
    registerOrStepAside(environment);
  } catch (error) {
    stepAside(messageOf(error));
  }
}

function registerOrStepAside(environment: Environment): void {
  const warnings: string[] = [];
  const variables = new Variables(environment, (message) => warnings.push(message));
  const activation = readActivation(variables);
  if (activation.kind === 'disabled') return;
  if (activation.kind === 'others') {
    stepAside(
      `OTEL_LOGS_EXPORTER is ${printable(activation.exporters)}`,
      'To send them to Fluent, set OTEL_LOGS_EXPORTER=fluent_forward.',
    );
    return;
  }
  if (hasLoggerProvider()) {
    stepAside(
      'a logger provider is registered already',
      "Set OTEL_LOGS_EXPORTER=fluent_forward, with which OpenTelemetry's NodeSDK registers none, or load this module before whatever registers it.",
    );
    return;
  }
  const sdk = findSdk();
  if (typeof sdk === 'string') {
    stepAside(sdk, INSTALL_COMMAND);
    return;
  }
  setConsoleDiag(variables, sdk.api.diag);
  const diagnostics = new Diagnostics(systemClock);
  const options = readProcessorOptions(variables);
  const processor = new FluentForwardLogRecordProcessor(options);
  const ownAttributes = readResourceAttributes(variables);
  registerProvider(createProvider(sdk, processor, ownAttributes, variables), sdk);
  for (const message of warnings) diagnostics.warnOnce(message);
  const serviceName = ownAttributes['service.name'] ?? sdk.resources.defaultResource().attributes['service.name'];
  diagnostics.info(describeSetUp(processor, options, environment, variables, serviceName));
  const ignored = describeIgnored(variables);
  if (ignored !== undefined) diagnostics.info(ignored);
  flushOnSignals(processor);
  reportSilence(processor, diagnostics);
}

function createProvider(
  { logs, resources }: Sdk,
  processor: LogRecordProcessor,
  ownAttributes: Attributes,
  variables: Variables,
): LoggerProvider {
  const detected = resources.detectResources({ detectors: [...readDetectors(variables, resources)] });
  return new logs.LoggerProvider({
    resource: resources.defaultResource().merge(detected).merge(resources.resourceFromAttributes(ownAttributes)),
    logRecordLimits: readRecordLimits(variables),
    processors: [processor],
  });
}

/** With both APIs: what logs through one does not see what the other has. */
function registerProvider(provider: LoggerProvider, { api, apiLogs }: Sdk): void {
  // `@opentelemetry/api` has logs from 1.10 on.
  (api as Partial<ApiLogs>).logs?.setGlobalLoggerProvider(provider);
  apiLogs?.logs.setGlobalLoggerProvider(provider);
}

/** On standard error: `diag` has no logger then, or one of others. */
function stepAside(reason: string, detail?: string): void {
  process.emitWarning(
    `opentelemetry-exporter-fluent-forward/register steps aside and sends no log records: ${reason}`,
    { code: 'FLUENT_FORWARD_NOT_REGISTERED', ...(detail === undefined ? {} : { detail }) },
  );
}
