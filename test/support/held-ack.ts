import type { MessageFault } from '../../src/testing/index.ts';

/** An ack that waits for `release()`. */
export class HeldAck {
  release!: () => void;
  readonly fault: MessageFault = {
    kind: 'delay',
    until: new Promise<void>((resolve) => {
      this.release = resolve;
    }),
  };
}
