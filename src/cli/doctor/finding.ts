import type { CodecName } from '../../compress/codecs.ts';
import type { LayoutName } from '../../encode/layout/layouts.ts';
import type { ConnectionErrorCode, ExportErrorCode } from '../../errors.ts';

export type Check =
  | 'configuration'
  | 'name lookup'
  | 'credentials'
  | 'connect'
  | 'TLS'
  | 'handshake'
  | 'ack'
  | 'record'
  | 'rotation'
  | 'compression'
  | 'large chunk'
  | CodecName
  | `${LayoutName} layout`;

/** What a check has shown. */
export interface Finding {
  /** What was checked: an endpoint, one of its addresses, or the whole exporter. */
  readonly subject: string;
  readonly check: Check;
  /** `noted`: good to know, and no condition of exporting. */
  readonly outcome: 'passed' | 'failed' | 'noted';
  readonly millis?: number;
  readonly text: string;
  readonly code?: ConnectionErrorCode | ExportErrorCode;
  /** What to do about it. */
  readonly remedy?: string;
}

/** The subject of what is checked by the exporter, over the addresses that work. */
export const EXPORTER = 'exporter';

/** Whether exporting would work: the exporter is tried only where an address works. */
export function isExportable(findings: readonly Finding[]): boolean {
  const exports = findings.filter(({ subject }) => subject === EXPORTER);
  return exports.length > 0 && exports.every(({ outcome }) => outcome !== 'failed');
}
