import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../clock.ts';
import type { Address } from '../endpoint/address.ts';
import { serverNameOf } from '../endpoint/target.ts';
import { messageOf } from '../errors.ts';
import type { Answer } from '../protocol/answer.ts';
import { Handshake } from '../protocol/handshake.ts';
import { AnswerStream } from './answer-stream.ts';
import type { Certificates, Credentials } from './credentials.ts';
import { CLOSED, type Failure, lostAt, type Stage, tooLate } from './failure.ts';
import { PendingVerdict } from './pending-verdict.ts';
import { closeSocket, openSocket } from './socket.ts';
import { SocketEvents, type SocketUser } from './socket-events.ts';

export interface DialOptions {
  /** Looks names up and chooses an address. */
  readonly findAddress: () => Promise<Address>;
  /** Gives the address back if the dial does not end in an open socket. */
  readonly release?: (address: Address) => void;
  readonly credentials: Credentials;
  /** The time limit of the whole dial. */
  readonly connectTimeoutMillis: number;
  readonly clock: Clock;
  /** Called for each stage after the lookup, with the socket from TLS on. */
  readonly onStage?: (stage: Stage, socket: Socket | undefined) => void;
  readonly onOpen: (opened: OpenSocket) => void;
  readonly onFailure: (failure: Failure) => void;
}

/** A socket to a receiver that is ready for chunks. */
export interface OpenSocket {
  readonly socket: Socket;
  readonly events: SocketEvents;
  readonly address: Address;
  readonly certificates: Certificates | undefined;
  /** May hold answers that the server has sent after the handshake. */
  readonly answers: AnswerStream;
  /** Undefined if the server cannot refuse this client any more. */
  readonly verdict: PendingVerdict | undefined;
  /** Undefined if there was no handshake. `isSingleUse`: the server takes one message, and then closes the connection. */
  readonly handshake: { readonly isSingleUse: boolean } | undefined;
}

type Opening = Pick<OpenSocket, 'socket' | 'events'>;

/**
 * One attempt to reach a receiver: lookup → credentials → connect → TLS → HELO → PONG, as far as they are needed, under
 * one time limit. It ends once, in an open socket or a failure. Nothing but PING is written.
 */
export class Dial implements SocketUser {
  readonly #options: DialOptions;
  readonly #answers = new AnswerStream();
  readonly #limit: Timer;
  #stage: Stage = 'lookup';
  #isOver = false;
  /** Invariant: undefined until the credentials are read. A failure before that is no fault of the address. */
  #address: Address | undefined;
  #certificates: Certificates | undefined;
  #handshake: Handshake | undefined;
  #opening: Opening | undefined;
  #verdict: PendingVerdict | undefined;
  #isSingleUse = false;

  constructor(options: DialOptions) {
    this.#options = options;
    const { clock, connectTimeoutMillis, credentials } = options;
    this.#limit = clock.after(connectTimeoutMillis, () =>
      clock.afterReads(() =>
        this.#fail(tooLate(this.#stage, connectTimeoutMillis, this.#address?.target, credentials.unread)),
      ),
    );
    void this.#run();
  }

  /** Undefined until the address is dialled. */
  get address(): Address | undefined {
    return this.#address;
  }

  /** Ends the dial with the failure {@link CLOSED}, unless it has ended. */
  cancel(): void {
    this.#fail(CLOSED);
  }

  async #run(): Promise<void> {
    // The resolver belongs to the application and may log. It must not run before the caller has the dial.
    await undefined;
    const { findAddress, release } = this.#options;
    let address: Address;
    try {
      address = await findAddress();
    } catch (error) {
      this.#fail({ code: 'FLUENT_FORWARD_LOOKUP_FAILED', reason: messageOf(error), cause: error });
      return;
    }
    const isTls = serverNameOf(address.target) !== undefined;
    const isReady = !this.#isOver && (await this.#readCredentials(isTls));
    if (!isReady || this.#isOver) {
      release?.(address);
      return;
    }
    this.#address = address;
    this.#connect(address);
  }

  /** Reads the certificates and secrets. Returns whether that succeeded. */
  async #readCredentials(isTls: boolean): Promise<boolean> {
    const { credentials } = this.#options;
    this.#reach('credentials');
    try {
      const login = await credentials.login();
      if (login !== undefined) this.#handshake = new Handshake(login);
      if (isTls) this.#certificates = await credentials.certificates();
      return true;
    } catch (error) {
      this.#fail({ code: 'FLUENT_FORWARD_CREDENTIALS_UNREADABLE', reason: messageOf(error), cause: error });
      return false;
    }
  }

  #connect({ target }: Address): void {
    this.#reach('connect');
    let socket: Socket;
    try {
      socket = openSocket(target, this.#certificates);
    } catch (error) {
      this.lost(error as Error);
      return;
    }
    this.#opening = { socket, events: new SocketEvents(socket, this) };
    socket.once('connect', () => {
      if (this.#certificates === undefined) this.#connected();
      else this.#reach('TLS');
    });
    socket.once('secureConnect', () => {
      const { clock, connectTimeoutMillis } = this.#options;
      const tls = socket as TLSSocket;
      if (tls.getProtocol() === 'TLSv1.3') this.#verdict = new PendingVerdict(tls, clock, connectTimeoutMillis);
      this.#connected();
    });
  }

  #reach(stage: Stage): void {
    this.#stage = stage;
    this.#options.onStage?.(stage, this.#opening?.socket);
  }

  #connected(): void {
    if (this.#isOver) return;
    if (this.#handshake === undefined) this.#open();
    else this.#reach('HELO');
  }

  received(data: Buffer): void {
    if (this.#isOver) return;
    this.#verdict?.give();
    for (const answer of this.#answers.read(data)) {
      if (answer.kind === 'invalid') this.#fail({ ...answer, code: 'FLUENT_FORWARD_BAD_ANSWER' });
      else this.#answered(answer);
      // The next user of an open socket takes the answers that are left.
      if (this.#isOver) return;
    }
  }

  /** Nothing but PING is sent until the server has proved that it knows the shared key. */
  #answered(answer: Answer): void {
    const handshake = this.#handshake;
    if (answer.kind === 'hello' && this.#stage === 'HELO') {
      this.#reach('PONG');
      this.#isSingleUse = !answer.hello.keepAlive;
      this.#opening?.socket.write((handshake as Handshake).ping(answer.hello));
    } else if (answer.kind === 'pong' && this.#stage === 'PONG') {
      const failure = (handshake as Handshake).check(answer.pong);
      if (failure === undefined) this.#open();
      else this.#fail(failure);
    } else {
      const reason = `the server answered out of turn, when ${this.#stage} was due`;
      this.#fail({ code: 'FLUENT_FORWARD_BAD_ANSWER', reason });
    }
  }

  lost(error?: NodeJS.ErrnoException): void {
    if (this.#isOver) return;
    const ends = { target: (this.#address as Address).target, certificates: this.#certificates };
    this.#fail(lostAt(this.#stage, error, ends, this.#verdict?.isPending === true));
  }

  #open(): void {
    const { onOpen } = this.#options;
    const { socket, events } = this.#opening as Opening;
    this.#end();
    onOpen({
      socket,
      events,
      address: this.#address as Address,
      certificates: this.#certificates,
      answers: this.#answers,
      verdict: this.#verdict,
      handshake: this.#handshake && { isSingleUse: this.#isSingleUse },
    });
  }

  #fail(failure: Failure): void {
    if (this.#isOver) return;
    this.#end();
    const { clock, connectTimeoutMillis, onFailure, release } = this.#options;
    const socket = this.#opening?.socket;
    const isEstablished = this.#stage === 'HELO' || this.#stage === 'PONG';
    if (socket !== undefined) closeSocket(socket, isEstablished, clock, connectTimeoutMillis);
    if (this.#address !== undefined) release?.(this.#address);
    onFailure(failure);
  }

  #end(): void {
    this.#isOver = true;
    this.#limit.cancel();
  }
}
