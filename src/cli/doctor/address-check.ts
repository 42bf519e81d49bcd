import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import { Connection } from '../../connection/connection.ts';
import type { ConnectionEvent } from '../../connection/connection-event.ts';
import type { Credentials } from '../../connection/credentials.ts';
import { Dial, type OpenSocket } from '../../connection/dial.ts';
import type { Stage } from '../../connection/failure.ts';
import { FAULTS } from '../../connection/faults.ts';
import type { Chunk } from '../../encode/chunk.ts';
import type { Address } from '../../endpoint/address.ts';
import type { ConnectionErrorCode } from '../../errors.ts';
import { describeTls } from './certificate.ts';
import type { Check, Finding } from './finding.ts';
import { remedyFor } from './remedy.ts';

export interface AddressCheckOptions {
  readonly address: Address;
  readonly config: Config;
  readonly credentials: Credentials;
  /** Sent when the connection is open. */
  readonly chunk: Chunk;
}

/** Dials one address as the exporter does and sends it a chunk. Returns what each step has shown. Never rejects. */
export function checkAddress(options: AddressCheckOptions): Promise<readonly Finding[]> {
  return new Promise((resolve) => {
    new AddressCheck(options, resolve);
  });
}

const CHECK_OF_STAGE: Readonly<Record<Stage, Check>> = {
  lookup: 'name lookup',
  credentials: 'credentials',
  connect: 'connect',
  TLS: 'TLS',
  HELO: 'handshake',
  PONG: 'handshake',
};

class AddressCheck {
  readonly #options: AddressCheckOptions;
  readonly #resolve: (findings: readonly Finding[]) => void;
  readonly #findings: Finding[] = [];
  /** The step that is running, and since when. */
  #check: Check = 'credentials';
  #since = systemClock.now();
  #tls: TLSSocket | undefined;
  #isDone = false;

  constructor(options: AddressCheckOptions, resolve: (findings: readonly Finding[]) => void) {
    this.#options = options;
    this.#resolve = resolve;
    const { address, config, credentials } = options;
    new Dial({
      findAddress: async () => address,
      credentials,
      connectTimeoutMillis: config.connectTimeoutMillis,
      clock: systemClock,
      onStage: (stage, socket) => this.#reached(stage, socket),
      onOpen: (opened) => this.#sendChunk(opened),
      onFailure: ({ code, reason }) => this.#fail(code, reason),
    });
  }

  #reached(stage: Stage, socket: Socket | undefined): void {
    if (stage === 'TLS') this.#begin('TLS', socket as TLSSocket);
    else this.#begin(CHECK_OF_STAGE[stage]);
  }

  #sendChunk(opened: OpenSocket): void {
    this.#begin('ack');
    const { chunk, config } = this.#options;
    const connection: Connection = new Connection({
      id: 0,
      dialledAt: this.#since,
      opened,
      ackTimeoutMillis: config.ackTimeoutMillis,
      maxInFlightChunks: 1,
      clock: systemClock,
      onEvent: (event) => this.#ended(connection, event),
    });
    connection.send(chunk);
    connection.start();
  }

  /** The first event is the result. Later ones only report the end of the connection. */
  #ended(connection: Connection, event: ConnectionEvent): void {
    if (this.#isDone) return;
    if (event.kind === 'acknowledged') {
      this.#pass();
      this.#done();
      connection.retire();
      return;
    }
    const { code, message } = event.error;
    // The finding names the place as its subject.
    this.#fail(code, message.slice(`${connection.place}: `.length));
    connection.close();
  }

  #begin(check: Check, tls?: TLSSocket): void {
    if (check === this.#check) return;
    // Reading the certificates and secrets is worth a finding only if it fails.
    if (this.#check !== 'credentials') this.#pass();
    this.#check = check;
    this.#since = systemClock.now();
    this.#tls = tls;
  }

  #pass(): void {
    this.#add({ outcome: 'passed', check: this.#check, text: this.#tls === undefined ? '' : describeTls(this.#tls) });
  }

  #fail(code: ConnectionErrorCode, text: string): void {
    const check = FAULTS[code].step ?? this.#check;
    // A server can refuse a client after its own part of the handshake has passed.
    const passed = this.#findings.findIndex((finding) => finding.check === check);
    if (passed !== -1) this.#findings.splice(passed);
    this.#add({ outcome: 'failed', check, text, code, remedy: remedyFor(check, code) });
    this.#done();
  }

  #done(): void {
    this.#isDone = true;
    this.#resolve(this.#findings);
  }

  #add(finding: Omit<Finding, 'subject' | 'millis'>): void {
    const { address } = this.#options;
    this.#findings.push({ subject: address.text, millis: systemClock.now() - this.#since, ...finding });
  }
}
