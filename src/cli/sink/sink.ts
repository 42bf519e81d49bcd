import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { DEFAULT_PORT } from '../../config/endpoint.ts';
import { messageOf } from '../../errors.ts';
import { printable } from '../../printable.ts';
import { ForwardReceiver, type ForwardReceiverOptions, type ReceivedEntry } from '../../testing/index.ts';
import { EXIT, type ExitCode, UsageError } from '../exit-code.ts';
import { paintFor } from '../paint.ts';
import { entryJson, entryLine, isGroupMarker } from './entry.ts';
import { FAULTS_HELP, parseFaults } from './faults.ts';
import { Status } from './status.ts';

const DEFAULT_HOST = '127.0.0.1';

const HELP = `Usage: fluent-forward sink [options]

Receives log records, prints and acknowledges them, until it is stopped (Ctrl-C): for development, in
place of a Fluent Bit or Fluentd. It keeps nothing.

  --host <address>       the interface to listen on (default ${DEFAULT_HOST})
  --port <port>          0 for any free one (default ${DEFAULT_PORT})
  --tls-cert <path>      listen in TLS, with this certificate (PEM)
  --tls-key <path>       and this private key
  --shared-key <key>     ask clients for this key
  --faults <list>        what to do with messages in place of acknowledging them, in turn and over and over:
                         ${FAULTS_HELP}
  --json                 a line of JSON for each record, and on standard error for each notice and each second's count
  --help                 show this text

Examples:
  fluent-forward sink
  fluent-forward sink --json | jq .record.message
  fluent-forward sink --faults none,none,reset

Exit code: 0 when it was stopped by SIGINT or SIGTERM, 1 when it cannot listen, 2 for bad arguments.
`;

/** Receives and prints records until a signal ends it. */
export async function sink(args: readonly string[]): Promise<ExitCode> {
  const { help, isJson, receiverOptions } = parse(args);
  if (help) {
    process.stdout.write(HELP);
    return EXIT.success;
  }
  const receiver = await listen(receiverOptions);
  const stopped = signal();
  const status = new Status(isJson);
  show(receiver, status, isJson);
  const { endpoint } = receiver;
  status.report({ event: 'listening', text: `listening on ${endpoint}`, endpoint });
  await stopped;
  const { connectionCount: connections } = receiver;
  await receiver.close();
  status.end();
  const { records, messages } = status.totals;
  const text = `received ${records} records in ${messages} messages over ${connections} connections`;
  status.report({ event: 'end', text, records, messages, connections });
  return EXIT.success;
}

/** Shows what arrives from now on. */
function show(receiver: ForwardReceiver, status: Status, isJson: boolean): void {
  const paint = paintFor(process.stdout);
  const lineOf = isJson ? entryJson : (entry: ReceivedEntry) => entryLine(entry, paint);
  receiver.on('message', ({ entries }) => {
    const records = entries.filter((entry) => !isGroupMarker(entry));
    status.count(records.length);
    for (const entry of isJson ? entries : records) process.stdout.write(`${lineOf(entry)}\n`);
  });
  receiver.on('handshake', (connection, reason) => {
    if (reason === undefined) return;
    status.report({
      event: 'client refused',
      text: `refused the client of connection ${connection}: ${reason}`,
      connection,
      reason,
    });
  });
  receiver.on('invalid', ({ message }) => {
    const reason = printable(message);
    status.report({ event: 'no Forward message', text: `got what is no Forward message: ${reason}`, reason });
  });
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        host: { type: 'string', default: DEFAULT_HOST },
        port: { type: 'string', default: String(DEFAULT_PORT) },
        'tls-cert': { type: 'string' },
        'tls-key': { type: 'string' },
        'shared-key': { type: 'string' },
        faults: { type: 'string', default: 'none' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const { 'tls-cert': cert, 'tls-key': key, 'shared-key': sharedKey } = values;
    const receiverOptions: ForwardReceiverOptions = {
      host: values.host,
      port: parsePort(values.port),
      messageFaults: parseFaults(values.faults),
      retain: false,
    };
    if ((cert === undefined) !== (key === undefined)) throw new Error('--tls-cert and --tls-key belong together');
    if (cert !== undefined && key !== undefined)
      receiverOptions.tls = { cert: readFileSync(cert), key: readFileSync(key) };
    if (sharedKey !== undefined) receiverOptions.security = { sharedKey };
    return { help: values.help, isJson: values.json, receiverOptions };
  } catch (error) {
    throw new UsageError(messageOf(error), HELP);
  }
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new RangeError(`--port is a number from 0 to 65535, not '${text}'`);
}

async function listen(options: ForwardReceiverOptions): Promise<ForwardReceiver> {
  try {
    return await ForwardReceiver.listen(options);
  } catch (error) {
    throw new Error(`cannot listen on ${options.host}, port ${options.port}: ${whyNot(error)}`, { cause: error });
  }
}

function whyNot(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE'
    ? 'the port is in use; another receiver listens there, or give another --port'
    : messageOf(error);
}

/** The first signal to end. By `npx` a Ctrl-C comes twice, so the second must not cut off the ending. */
function signal(): Promise<void> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => resolve());
  });
}
