#!/usr/bin/env node
import { messageOf } from '../errors.ts';
import { escapeControls } from '../printable.ts';
import { doctor } from './doctor/doctor.ts';
import { EXIT, type ExitCode, UsageError } from './exit-code.ts';
import { toJson } from './json.ts';
import { sink } from './sink/sink.ts';

const HELP = `Usage: fluent-forward <command> [options]

  doctor  find out whether log records would reach the receiver and, if not, why
  sink    receive log records and print them, in place of a Fluent Bit or Fluentd

  fluent-forward <command> --help  shows the options of a command

Examples:
  fluent-forward doctor --endpoint tls://fluent.logging:24224
  fluent-forward sink --port 24224

Exit code: 0 when all is well, 1 when not, 2 for bad arguments.
`;

async function run([command, ...args]: readonly string[]): Promise<ExitCode> {
  switch (command) {
    case 'doctor':
      return doctor(args);
    case 'sink':
      return sink(args);
    case '--help':
    case '-h':
      process.stdout.write(HELP);
      return EXIT.success;
    case undefined:
      throw new UsageError('a command is missing', HELP);
    default:
      throw new UsageError(`there is no command '${command}'`, HELP);
  }
}

function explain(error: unknown): ExitCode {
  const message = messageOf(error);
  const isUsage = error instanceof UsageError;
  if (process.argv.includes('--json')) {
    process.stderr.write(`${toJson({ event: 'error', message })}\n`);
  } else {
    process.stderr.write(`fluent-forward: ${escapeControls(message)}\n${isUsage ? `\n${error.help}` : ''}`);
  }
  return isUsage ? EXIT.usage : EXIT.failure;
}

// Whoever reads the output may have seen enough, as `head` does.
process.stdout.on('error', () => process.exit(EXIT.failure));
run(process.argv.slice(2))
  .catch(explain)
  // A name lookup that hangs would hold the process.
  .then((code) => process.stdout.write('', () => process.exit(code)));
