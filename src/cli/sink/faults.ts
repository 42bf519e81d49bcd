import type { MessageFault, MessageScript } from '../../testing/index.ts';

/** What {@link parseFaults} takes, for help. */
export const FAULTS_HELP = `none, withhold, delay:<ms>, misaddress, repeat:<times>, refuse, close, close-after-ack, reset,
                         reset-after-ack, truncate, drip:<ms>, garbage`;

/**
 * The script that a list of faults stands for: one for each message, and after the last one the first again.
 * @throws RangeError for what is no fault.
 */
export function parseFaults(text: string): MessageScript {
  const faults = text.split(',').map((each) => parseFault(each.trim()));
  let next = 0;
  return () => faults[next++ % faults.length];
}

function parseFault(text: string): MessageFault | undefined {
  const [kind, number] = text.split(':');
  const isNumbered = kind === 'delay' || kind === 'drip' || kind === 'repeat';
  const value = /^\d{1,9}$/.test(number ?? '') ? Number(number) : undefined;
  if (isNumbered ? value === undefined : number !== undefined) {
    throw new RangeError(`'${text}' is no fault; ${isNumbered ? 'it needs a number' : `'${kind}' takes no number`}`);
  }
  switch (kind) {
    case 'none':
      return undefined;
    case 'withhold':
    case 'misaddress':
    case 'refuse':
    case 'truncate':
    case 'garbage':
      return { kind };
    case 'delay':
      return { kind, millis: value as number };
    case 'drip':
      return { kind, millis: value as number };
    case 'repeat':
      return { kind, times: value as number };
    case 'close':
    case 'reset':
      return { kind, when: 'before ack' };
    case 'close-after-ack':
      return { kind: 'close', when: 'after ack' };
    case 'reset-after-ack':
      return { kind: 'reset', when: 'after ack' };
    default:
      throw new RangeError(`'${text}' is no fault`);
  }
}
