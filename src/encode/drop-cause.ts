import { printable } from '../printable.ts';
import { UnencodableError } from './layout/layout.ts';
import { thrown } from './value.ts';
import { TooLargeError } from './writer.ts';

/** Why a record could not be encoded: a code for messages that are limited by their cause. */
export type DropCause = 'oversize' | 'unencodable' | 'unreadable';

/** Describes the error that the encoding of a record has thrown. */
export function describeDrop(
  error: unknown,
  ceilingBytes: number,
): { readonly cause: DropCause; readonly reason: string } {
  if (error instanceof TooLargeError) {
    return { cause: 'oversize', reason: `it takes more than ${ceilingBytes} bytes, the most a receiver accepts` };
  }
  if (error instanceof UnencodableError) return { cause: 'unencodable', reason: error.message };
  return { cause: 'unreadable', reason: `it cannot be read: ${printable(thrown(error))}` };
}
