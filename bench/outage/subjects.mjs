import { fileURLToPath } from 'node:url';

const CLIENT = fileURLToPath(new URL('client.mjs', import.meta.url));
/** What fluent-logger-golang writes to stderr for each message that it gives up. */
const GIVEN_UP = /Unable to send logs to fluentd/g;

/** What this package writes to stderr at the end of a process. */
const LOST_AT_END = /(\d+) log record\(s\) were lost when the process ended/g;

/** All clients: how each is called and started, and by what an application sees that records were lost. */
export function subjects(golang) {
  return [
    node('processor', '`FluentForwardLogRecordProcessor`', { channel: 'process warnings and stderr, with counts' }),
    node('exporter', '`FluentForwardLogExporter` behind `BatchLogRecordProcessor`', {
      channel: 'a process warning, not for the queue',
    }),
    node('otlp-proto', 'OTLP/protobuf behind `BatchLogRecordProcessor`', { channel: 'none', protocol: 'otlp' }),
    node('fluent-org', '`@fluent-org/logger`, acks', { channel: '`emit()` rejects' }),
    node('fluent-org-retries', '`@fluent-org/logger`, acks and retries', { channel: '`emit()` rejects' }),
    node('fluent-logger', '`fluent-logger`, acks', { channel: 'errors to the callback, after 190 s' }),
    ...(golang === undefined
      ? []
      : [golangSubject(golang, 'acks', 'acks'), golangSubject(golang, 'no-acks', 'no acks')]),
  ];
}

function node(name, title, { channel, protocol = 'forward' }) {
  return { name, title, channel, protocol, command: [process.execPath, CLIENT, name], lossesIn: lossesAtEnd };
}

function lossesAtEnd(stderr) {
  return [...stderr.matchAll(LOST_AT_END)].reduce((sum, [, records]) => sum + Number(records), 0);
}

function golangSubject(program, mode, description) {
  return {
    name: `golang-${mode}`,
    title: `fluent-logger-golang, async, ${description}`,
    channel: 'errors of `Post()`, lines on stderr',
    protocol: 'forward',
    command: [program, mode],
    lossesIn: (stderr) => stderr.match(GIVEN_UP)?.length ?? 0,
  };
}
