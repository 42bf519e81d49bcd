import { GROUP_END, GROUP_START } from '../../encode/layout/otlp.ts';
import { Rfc3339 } from '../../encode/time.ts';
import { escapeControls, printable } from '../../printable.ts';
import type { EntryTime, ReceivedEntry } from '../../testing/index.ts';
import { toJson } from '../json.ts';
import type { Format, Paint } from '../paint.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Whether the entry is no record: those of the `otlp` layout stand between entries that begin and end a group. */
export function isGroupMarker({ time }: ReceivedEntry): boolean {
  return time.seconds === GROUP_START || time.seconds === GROUP_END;
}

/** One line of JSON: all that has arrived, with the time to the nanosecond. */
export function entryJson({ tag, time, metadata, record }: ReceivedEntry): string {
  return toJson({ time: timeOf(time), tag, metadata, record });
}

/** One line to read: time, severity, tag, message, and what else the record says of the event. */
export function entryLine(entry: ReceivedEntry, paint: Paint): string {
  const { severity, message, fields } = partsOf(entry);
  const format = FORMATS[rankOf(severity)];
  const name = escapeControls(severity.text).padEnd(SEVERITY_WIDTH);
  const parts = [
    paint('dim', timeOf(entry.time)?.replace(/\d{6}Z$/, 'Z') ?? 'no time'),
    format === undefined ? name : paint(format, name),
    paint('cyan', escapeControls(entry.tag)),
    ...(message === undefined ? [] : [textOf(message)]),
    ...Object.entries(fields).map(([key, value]) => `${paint('dim', `${escapeControls(key)}=`)}${shown(value)}`),
  ];
  return parts.join(' ');
}

const TIMES = new Rfc3339();

function timeOf({ seconds, nanoseconds }: EntryTime): string | undefined {
  return TIMES.text([seconds, nanoseconds]);
}

interface Severity {
  readonly text: string;
  readonly number: unknown;
}

interface Parts {
  readonly severity: Severity;
  readonly message: unknown;
  readonly fields: Fields;
}

/** Takes a record of any layout apart. What says where it is from, and not what happened, is left out. */
function partsOf({ record, metadata }: ReceivedEntry): Parts {
  if (!isMap(record)) return { severity: severityOf({}), message: record, fields: {} };
  // The layout `otlp` has beside the time what others have in the record.
  const otlp = isMap(metadata) && isMap(metadata.otlp) ? metadata.otlp : {};
  const { message, body, log, attributes, severity_text, severity_number, ...others } = {
    ...otlp,
    ...record,
  } as Fields;
  const fields = Object.entries(others).filter(([key]) => !isOrigin(key));
  return {
    severity: severityOf({ severity_text, severity_number }),
    message: message ?? body ?? log,
    fields: { ...Object.fromEntries(fields), ...(isMap(attributes) ? attributes : {}) },
  };
}

function isOrigin(key: string): boolean {
  return /^((resource|scope)([._].*)?|(observed_)?timestamp|trace_flags)$/.test(key);
}

const SEVERITIES = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const SEVERITY_WIDTH = 5;
const FORMATS: readonly Format[] = ['gray', 'gray', 'green', 'yellow', 'red', 'magenta'];

function severityOf({ severity_text, severity_number: number }: Fields): Severity {
  if (typeof severity_text === 'string') return { text: severity_text, number };
  return { text: SEVERITIES[rankOf({ text: '', number })] ?? '', number };
}

/** The place in {@link SEVERITIES}; OpenTelemetry has four numbers for each, from 1. */
function rankOf({ text, number }: Severity): number {
  return typeof number === 'number' ? Math.floor((number - 1) / 4) : SEVERITIES.indexOf(text.toUpperCase());
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? escapeControls(value) : toJson(value);
}

/** Quoted where its end could not be seen, and cut where a line would drown in it. */
function shown(value: unknown): string {
  return printable(typeof value === 'string' && /^[^\s"'=]+$/.test(value) ? value : toJson(value));
}

function isMap(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
