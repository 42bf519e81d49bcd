import { parseArgs } from 'node:util';
import { COMPRESSION_NAMES, type CompressionName } from '../../compress/codecs.ts';
import { type ExporterConfig, resolveExporterConfig } from '../../config/config.ts';
import { withoutSecrets } from '../../config/endpoint.ts';
import type { FluentForwardLogExporterOptions } from '../../config/options.ts';
import { LAYOUT_NAMES, type LayoutName } from '../../encode/layout/layouts.ts';
import { messageOf } from '../../errors.ts';
import { withholdLossWarnings } from '../../loss-warning.ts';
import { EXIT, type ExitCode, UsageError } from '../exit-code.ts';
import { checkUp } from './checkup.ts';
import { type Finding, isExportable } from './finding.ts';
import { JsonReport, TableReport } from './report.ts';
import { TEST_TAG, TestRecords } from './test-record.ts';

const HELP = `Usage: fluent-forward doctor [options]

Finds out whether log records would reach the receiver and, if not, why. All that the exporter takes
from OTEL_EXPORTER_FLUENT_FORWARD_* variables counts here too: secrets, certificates, time limits.

  --endpoint <endpoint>  where to send, in place of the variable or tcp://localhost:24224
  --layout <layout>      ${choiceOf(LAYOUT_NAMES)}, in place of the variable
  --compression <name>   ${choiceOf(COMPRESSION_NAMES)}, in place of the variable
  --tag <tag>            the tag of the test records (default ${TEST_TAG})
  --json                 one JSON object in place of the table
  --help                 show this text

Examples:
  fluent-forward doctor
  fluent-forward doctor --endpoint tls://fluent.logging:24224
  OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE=/run/secrets/fluent-key fluent-forward doctor --json

Exit code: 0 when exporting would work, 1 when not, 2 for bad arguments.
`;

function choiceOf(names: readonly string[]): string {
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}

/** Finds out whether exporting would work. */
export async function doctor(args: readonly string[]): Promise<ExitCode> {
  const { endpoint, layout, compression, tag, json, help } = parse(args);
  if (help) {
    process.stdout.write(HELP);
    return EXIT.success;
  }
  const options = {
    endpoint,
    layout: layout as LayoutName | undefined,
    compression: compression as CompressionName | undefined,
  };
  const warnings: string[] = [];
  // The tag that is configured is judged, and not used.
  resolve({ ...options, tag }, warnings);
  const given = { ...options, tag: tag ?? TEST_TAG };
  const config = resolve(given, []);
  // The table reports it.
  withholdLossWarnings();
  const records = new TestRecords();
  const report = json ? new JsonReport(config, records) : new TableReport(config, records);
  // Sockets do not hold the process.
  const hold = setInterval(() => {}, 60_000);
  const findings: Finding[] = [];
  for (const text of warnings) {
    report.add({ subject: 'configuration', check: 'configuration', outcome: 'noted', text });
  }
  for await (const finding of checkUp({ config, options: given, records })) {
    findings.push(finding);
    report.add(finding);
  }
  clearInterval(hold);
  const works = isExportable(findings);
  report.end(works);
  return works ? EXIT.success : EXIT.failure;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        endpoint: { type: 'string' },
        layout: { type: 'string' },
        compression: { type: 'string' },
        tag: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    // It shows the arguments, and an endpoint without --endpoint is one.
    throw new UsageError(withoutSecrets(messageOf(error)), HELP);
  }
}

function resolve(options: FluentForwardLogExporterOptions, warnings: string[]): ExporterConfig {
  try {
    return resolveExporterConfig(options, process.env, (message) => warnings.push(message));
  } catch (error) {
    throw new UsageError(messageOf(error), HELP);
  }
}
