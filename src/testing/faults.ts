import type { ReceivedMessage } from './message.ts';
import { callUserCode } from './user-code.ts';

/** What a receiver does with a message in place of acknowledging it. */
export type MessageFault =
  /** Takes the message and never answers. */
  | { readonly kind: 'withhold' }
  /** Answers late; the acks behind it wait too, as real receivers acknowledge in order. */
  | { readonly kind: 'delay'; readonly millis: number }
  | { readonly kind: 'delay'; readonly until: Promise<unknown> }
  /** Acknowledges a chunk that nobody sent. */
  | { readonly kind: 'misaddress' }
  /** Sends the ack so many times. */
  | { readonly kind: 'repeat'; readonly times: number }
  /** Answers `{}` and does not take the message, as Vector does. */
  | { readonly kind: 'refuse' }
  /** Ends the connection (FIN). */
  | { readonly kind: 'close'; readonly when: 'before ack' | 'after ack' }
  /** Resets the connection (RST). */
  | { readonly kind: 'reset'; readonly when: 'before ack' | 'after ack' }
  /** Sends half of the ack, then nothing. */
  | { readonly kind: 'truncate' }
  /** Sends the ack a byte at a time. */
  | { readonly kind: 'drip'; readonly millis: number }
  /** Sends other bytes in place of the ack; some that are no MessagePack by default. */
  | { readonly kind: 'garbage'; readonly bytes?: Uint8Array };

/** What a receiver with `security` does wrong in a handshake. */
export type HandshakeFault =
  /** Never sends it. */
  | { readonly kind: 'withhold'; readonly message: 'HELO' | 'PONG' }
  /** Sends it late. */
  | { readonly kind: 'delay'; readonly message: 'HELO' | 'PONG'; readonly millis: number }
  /** Sends it a byte at a time. */
  | { readonly kind: 'drip'; readonly message: 'HELO' | 'PONG'; readonly millis: number }
  /** Sends other bytes in its place. */
  | { readonly kind: 'replace'; readonly message: 'HELO' | 'PONG'; readonly bytes: Uint8Array }
  /** Takes any client, without knowing the shared key itself. */
  | { readonly kind: 'impostor' }
  /** Takes any client, and sends its own digest back to it, under its own name. */
  | { readonly kind: 'reflect' }
  /** Refuses the client for this reason. */
  | { readonly kind: 'refuse'; readonly reason: string };

/** What a receiver does to a connection once so many bytes have arrived; 0 means when it is accepted. */
export type ConnectionFault = {
  readonly kind: 'close' | 'reset' | 'stop reading';
  readonly afterBytes: number;
};

/**
 * Which faults happen: a list, whose first element is for the first message or connection and so on
 * (`undefined` for none, and none after its end), or a function. If the function throws, no fault happens, and the
 * error is an uncaught exception of the process.
 */
export type Script<Subject, Fault> = readonly (Fault | undefined)[] | ((subject: Subject) => Fault | undefined);

export type MessageScript = Script<ReceivedMessage, MessageFault>;
/** A function gets the connection's number, 0 for the first. */
export type ConnectionScript = Script<number, ConnectionFault>;

/** A function gets the connection's number, 0 for the first. */
export type HandshakeScript = Script<number, HandshakeFault>;

/** A script, and the number of the message or connection with which its list starts. */
export class FaultScript<Subject, Fault> {
  readonly #script: Script<Subject, Fault>;
  readonly #first: number;

  constructor(script: Script<Subject, Fault> = [], first: number = 0) {
    this.#script = script;
    this.#first = first;
  }

  /** Returns the fault of the message or connection with this number. */
  faultOf(number: number, subject: Subject): Fault | undefined {
    const script = this.#script;
    return typeof script === 'function' ? callUserCode(() => script(subject)) : script[number - this.#first];
  }
}
