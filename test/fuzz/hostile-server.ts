import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { decode, encode } from '@msgpack/msgpack';
import { MAX_ANSWER_BYTES } from '../../src/protocol/answer.ts';
import { FrameReader } from '../../src/protocol/frame.ts';
import type { HandshakeFault, ReceivedEntry } from '../../src/testing/index.ts';
import { decodeMessage } from '../../src/testing/message.ts';
import { ReceiverHandshake } from '../../src/testing/security.ts';
import { reset } from '../../src/testing/session.ts';
import { type Mutation, mutated, split } from './mutation.ts';
import { type Reading, readingOf } from './oracle.ts';
import { ANSWERS, digestOf, LOGIN } from './sessions.ts';

/** What is done to an answer on its way, and to the connection behind it. */
export interface Twist {
  readonly changes: readonly Mutation[];
  readonly times: number;
  readonly cuts: readonly number[];
  readonly ending: 'stay' | 'close' | 'reset';
}

/** A handshake, or without one what is said before anything was asked. */
export interface Opening {
  readonly fault: HandshakeFault | undefined;
  readonly first: Twist | undefined;
  readonly pong: Twist | undefined;
}

/** How a server behaves to begin with; it is an honest one when all of this has been played. */
export interface Script {
  readonly isKeyed: boolean;
  /** For each connection. */
  readonly openings: readonly Opening[];
  /** For each message: which of {@link ANSWERS}, and whether it names an older chunk. */
  readonly answers: readonly { readonly which: number; readonly isStale: boolean; readonly twist: Twist }[];
}

const HONEST: Twist = { changes: [], times: 1, cuts: [], ending: 'stay' };
const MAX_MESSAGE_BYTES = 1_000_000;
/** Between two acks: what is allowed, and the read that goes beyond it. */
const MAX_UNASKED_BYTES = MAX_ANSWER_BYTES + 65_536;

/** What this process has read over a connection, by the ports of both ends, until it closed its own. */
const bytesRead = new Map<string, number>();
subscribe('net.client.socket', (message) => {
  const { socket } = message as { socket: Socket };
  let key: string;
  socket.once('connect', () => {
    key = `${socket.localPort} ${socket.remotePort}`;
    bytesRead.set(key, 0);
  });
  socket.on('data', ({ length }) => {
    if (!socket.writableEnded) bytesRead.set(key, (bytesRead.get(key) as number) + length);
  });
});

/** One connection of a hostile server: keeps what each side has said. */
class HostileConnection {
  readonly #server: HostileServer;
  readonly #socket: Socket;
  readonly #script: Script;
  readonly #opening: Opening | undefined;
  readonly #handshake: ReceiverHandshake | undefined;
  readonly #ports: string;
  readonly #received = new Set<string>();
  readonly #frames = new FrameReader(MAX_MESSAGE_BYTES);
  #sent: Buffer = Buffer.alloc(0);
  #salt: string | undefined;
  #saying: Promise<void> = Promise.resolve();
  /** Answers that are not written whole yet. */
  #unsaid = 0;
  isOpen = true;

  constructor(server: HostileServer, socket: Socket, script: Script, opening: Opening | undefined) {
    this.#server = server;
    this.#socket = socket;
    this.#script = script;
    this.#opening = opening;
    this.#ports = `${socket.remotePort} ${socket.localPort}`;
    socket.on('error', () => {});
    socket.once('close', () => {
      this.isOpen = false;
    });
    socket.on('data', (data) => {
      for (const frame of this.#frames.push(data)) this.#take(frame);
    });
    if (script.isKeyed) {
      this.#handshake = new ReceiverHandshake({ sharedKey: LOGIN.sharedKey, style: 'fluent-bit' }, opening?.fault);
      this.#say(this.#handshake.hello(), opening?.first);
    } else if (opening?.first !== undefined) {
      this.#say(encode({}), opening.first);
    }
  }

  /** Whether the client may believe that the chunk was taken. */
  acknowledges(chunk: string): boolean {
    return this.#received.has(chunk) && this.#acks.includes(chunk);
  }

  /** Whether the client keeps it open with an answer that has no end. */
  get isHeldOpen(): boolean {
    return this.isOpen && this.#reading.hasRest;
  }

  /** Whether the client has read all that was written, or the connection is closed. */
  get isHeard(): boolean {
    return !this.isOpen || (this.#unsaid === 0 && (bytesRead.get(this.#ports) ?? 0) === this.#sent.length);
  }

  /** How much more the client has read than it may. */
  get excessBytes(): number {
    const read = bytesRead.get(this.#ports) ?? 0;
    if (read <= MAX_UNASKED_BYTES) return 0;
    const acks = this.#acks.filter((chunk) => this.#received.has(chunk));
    return read - MAX_UNASKED_BYTES * (1 + acks.length);
  }

  get #acks(): string[] {
    return this.#reading.answers.flatMap((answer) => (answer.kind === 'ack' ? answer.chunk : []));
  }

  get #reading(): Reading {
    return readingOf(this.#sent);
  }

  #take(frame: Buffer): void {
    const [type, , salt] = decode(frame) as unknown[];
    if (type === 'PING') {
      this.#salt = salt as string;
      const { pong } = (this.#handshake as ReceiverHandshake).check(frame);
      this.#say(pong ?? new Uint8Array(0), this.#opening?.pong);
      return;
    }
    if (this.#script.isKeyed) this.#checkTrust();
    const { chunk, entries } = decodeMessage(frame, 0);
    this.#received.add(chunk as string);
    const answer = this.#server.take(textOf(entries), chunk as string);
    this.#say(answer.bytes, answer.twist);
  }

  /** Records are for who has proved to know the shared key. */
  #checkTrust(): void {
    const [hello, pong] = this.#reading.answers;
    if (hello?.kind === 'hello' && pong?.kind === 'pong' && pong.pong.isAccepted) {
      const { hostname, digest } = pong.pong;
      const proof = digestOf(this.#salt as string, hostname, hello.hello.nonce, LOGIN.sharedKey);
      if (digest.toString('latin1') === proof && hostname.toString('latin1') !== LOGIN.hostname) return;
    }
    this.#server.faults.push(`records were sent to an impostor, who had said ${this.#sent.toString('hex')}`);
  }

  #say(bytes: Uint8Array, { changes, times, cuts, ending }: Twist = HONEST): void {
    const twisted = mutated(bytes, changes);
    const said = times === 1 ? twisted : Buffer.concat(Array(times).fill(twisted));
    this.#unsaid++;
    this.#saying = this.#saying
      .then(async () => {
        for (const part of split(said, cuts)) {
          if (this.#socket.destroyed || this.#socket.writableEnded) return;
          this.#sent = Buffer.concat([this.#sent, part]);
          this.#socket.write(part);
          if (cuts.length > 0) await turn();
        }
        if (ending === 'close') this.#socket.end();
        if (ending === 'reset') reset(this.#socket);
      })
      .finally(() => {
        this.#unsaid--;
      });
  }
}

/** Plays one script after the other, and knows afterwards what may be called delivered. */
export class HostileServer {
  /** What the client did wrong, seen from here. */
  readonly faults: string[] = [];
  readonly #server: Server;
  #connections: HostileConnection[] = [];
  #script: Script = { isKeyed: false, openings: [], answers: [] };
  #messages = 0;
  /** By the text of the record that they carry. */
  readonly #chunks = new Map<string, string>();

  private constructor() {
    this.#server = createServer({ noDelay: true }, (socket) => {
      const opening = this.#script.openings[this.#connections.length];
      this.#connections.push(new HostileConnection(this, socket, this.#script, opening));
    });
  }

  static async listen(): Promise<HostileServer> {
    const server = new HostileServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get endpoint(): string {
    return `tcp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get openConnections(): number {
    return this.#connections.filter(({ isOpen }) => isOpen).length;
  }

  /** Whether the client keeps a connection open on which an answer has no end. */
  get isHeldOpen(): boolean {
    return this.#connections.some((connection) => connection.isHeldOpen);
  }

  /** Whether the client has read all that was written on connections that are open. */
  get isHeard(): boolean {
    return this.#connections.every((connection) => connection.isHeard);
  }

  /** The most that the client has read on a connection beyond what it may; not above 0. */
  get excessBytes(): number {
    return Math.max(0, ...this.#connections.map((connection) => connection.excessBytes));
  }

  play(script: Script): void {
    this.#script = script;
    this.#connections = [];
    this.#messages = 0;
    this.#chunks.clear();
    this.faults.length = 0;
  }

  beHonest(): void {
    this.#script = { ...this.#script, openings: [], answers: [] };
  }

  /** Whether the record's chunk was acknowledged on a connection that brought it. */
  hasAcknowledged(text: string): boolean {
    const chunk = this.#chunks.get(text);
    return chunk !== undefined && this.#connections.some((connection) => connection.acknowledges(chunk));
  }

  take(text: string, chunk: string): { bytes: Uint8Array; twist: Twist } {
    const [oldest = chunk] = this.#chunks.values();
    this.#chunks.set(text, chunk);
    const scripted = this.#script.answers[this.#messages++];
    if (scripted === undefined) return { bytes: encode({ ack: chunk }), twist: HONEST };
    const answer = ANSWERS[scripted.which % ANSWERS.length] as (typeof ANSWERS)[number];
    return { bytes: answer(scripted.isStale ? oldest : chunk), twist: scripted.twist };
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }
}

function textOf(entries: readonly ReceivedEntry[]): string {
  const [{ record }] = entries as [ReceivedEntry];
  return (record as { message: string }).message;
}
