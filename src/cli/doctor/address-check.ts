import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { systemClock } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import { Connection, type ConnectionObserver } from '../../connection/connection.ts';
import type { Credentials } from '../../connection/credentials.ts';
import type { Stage } from '../../connection/failure.ts';
import type { Chunk } from '../../encode/chunk.ts';
import type { Address } from '../../endpoint/address.ts';
import type { ConnectionErrorCode, FluentForwardConnectionError } from '../../errors.ts';
import { Telemetry } from '../../telemetry/telemetry.ts';
import { describeTls } from './certificate.ts';
import type { Check, Finding } from './finding.ts';
import { remedyFor } from './remedy.ts';

export interface AddressCheckOptions {
  readonly address: Address;
  readonly config: Config;
  readonly credentials: Credentials;
  /** What is sent once the connection is open. */
  readonly chunk: Chunk;
}

/** Dials one address as the exporter does, sends it a chunk, and tells how far that came. Never rejects. */
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

class AddressCheck implements ConnectionObserver {
  readonly #options: AddressCheckOptions;
  readonly #done: (findings: readonly Finding[]) => void;
  readonly #findings: Finding[] = [];
  /** What is going on, and since when. */
  #check: Check = 'credentials';
  #since = systemClock.now();
  #tls: TLSSocket | undefined;

  constructor(options: AddressCheckOptions, done: (findings: readonly Finding[]) => void) {
    this.#options = options;
    this.#done = done;
    const { address, config, credentials } = options;
    new Connection({
      id: 0,
      endpoints: address.endpoint.url,
      acquire: async () => address,
      release: () => {},
      credentials,
      connectTimeoutMillis: config.connectTimeoutMillis,
      ackTimeoutMillis: config.ackTimeoutMillis,
      maxInFlightChunks: 1,
      pass: 0,
      clock: systemClock,
      // Not an exporter's: it has no metrics, and channels tell it by its name.
      telemetry: new Telemetry('fluent-forward doctor'),
      observer: this,
      onStage: (stage, socket) => this.#reached(stage, socket),
    });
  }

  opened(connection: Connection): void {
    this.#begin('ack');
    connection.send(this.#options.chunk);
  }

  acknowledged(connection: Connection): void {
    this.#pass();
    connection.retire();
    this.#done(this.#findings);
  }

  unacknowledged(): void {}

  failed(connection: Connection, error: FluentForwardConnectionError): void {
    this.#fail(error, connection.place);
    connection.close();
    this.#done(this.#findings);
  }

  closed(): void {}

  #reached(stage: Stage, socket: Socket | undefined): void {
    if (stage === 'TLS') this.#begin('TLS', socket as TLSSocket);
    else this.#begin(CHECK_OF_STAGE[stage]);
  }

  #begin(check: Check, tls?: TLSSocket): void {
    if (check === this.#check) return;
    // What is read on this side is of interest only when that fails.
    if (this.#check !== 'credentials') this.#pass();
    this.#check = check;
    this.#since = systemClock.now();
    this.#tls = tls;
  }

  #pass(): void {
    this.#add({ outcome: 'passed', check: this.#check, text: this.#tls === undefined ? '' : describeTls(this.#tls) });
  }

  #fail({ code, message }: FluentForwardConnectionError, place: string): void {
    const check = blamedBy(code) ?? this.#check;
    // A server can refuse a client after its own part of the handshake has passed.
    const passed = this.#findings.findIndex((finding) => finding.check === check);
    if (passed !== -1) this.#findings.splice(passed);
    // The place that it begins with is the subject already.
    const text = message.slice(`${place}: `.length);
    this.#add({ outcome: 'failed', check, text, code, remedy: remedyFor(check, code) });
  }

  #add(finding: Omit<Finding, 'subject' | 'millis'>): void {
    const { address } = this.#options;
    this.#findings.push({ subject: address.text, millis: systemClock.now() - this.#since, ...finding });
  }
}

/** The check that an error tells of whenever it comes. */
function blamedBy(code: ConnectionErrorCode): Check | undefined {
  switch (code) {
    case 'FLUENT_FORWARD_TLS_FAILED':
      return 'TLS';
    case 'FLUENT_FORWARD_AUTH_FAILED':
    case 'FLUENT_FORWARD_SERVER_UNTRUSTED':
      return 'handshake';
    default:
      return undefined;
  }
}
