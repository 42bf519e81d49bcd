import { CODECS } from '../../compress/codecs.ts';
import { FAULTS, READ_RECEIVER_LOG } from '../../connection/faults.ts';
import type { ConnectionErrorCode, ExportErrorCode } from '../../errors.ts';
import type { Check } from './finding.ts';

/** Returns what to do about a check that failed with this code. */
export function remedyFor(check: Check, code: ConnectionErrorCode | ExportErrorCode): string {
  if (check === 'large chunk') {
    return 'lower maxChunkBytes, or raise chunk_size_limit (Fluentd) or buffer_max_size (Fluent Bit)';
  }
  if (check === 'compression') return compressionRemedy();
  if (!isConnectionError(code)) return READ_RECEIVER_LOG;
  return (code === 'FLUENT_FORWARD_CONNECT_TIMEOUT' && TIMEOUT_REMEDIES[check]) || FAULTS[code].remedy;
}

/** What to do if a dial takes too long at one of these checks. */
const TIMEOUT_REMEDIES: { readonly [check in Check]?: string } = {
  TLS: 'let the receiver speak TLS there, or use tcp://',
  handshake: 'unset sharedKey, or give the receiver the same one',
};

function isConnectionError(code: ConnectionErrorCode | ExportErrorCode): code is ConnectionErrorCode {
  return Object.hasOwn(FAULTS, code);
}

function compressionRemedy(): string {
  const releases = Object.values(CODECS).flatMap(({ name, firstReleases = {} }) => {
    const first = Object.entries(firstReleases).map(([receiver, release]) => `${receiver} from ${release}`);
    return first.length === 0 ? [] : [`${name}: ${first.join(', ')}`];
  });
  return `set compression to one that the receiver knows (${releases.join('; ')}), or to none`;
}
