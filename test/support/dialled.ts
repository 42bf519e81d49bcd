import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import { resolveExporterConfig } from '../../src/config/config.ts';
import { Credentials } from '../../src/connection/credentials.ts';
import { Dial, type OpenSocket } from '../../src/connection/dial.ts';
import type { Failure, Stage } from '../../src/connection/failure.ts';
import { Diagnostics } from '../../src/diagnostics.ts';
import type { Address } from '../../src/endpoint/address.ts';
import { Addresses } from '../../src/endpoint/addresses.ts';
import type { FluentForwardLogExporterOptions } from '../../src/index.ts';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';

/** A receiver that is closed at the end of the test. */
export async function listen(options?: ForwardReceiverOptions): Promise<ForwardReceiver> {
  const receiver = await ForwardReceiver.listen(options);
  onTestFinished(() => receiver.close());
  return receiver;
}

export interface Dialled {
  readonly dial: Dial;
  readonly opened: readonly OpenSocket[];
  readonly failures: readonly Failure[];
  readonly stages: readonly Stage[];
  /** The texts of the addresses that were given back, once for each time. */
  readonly released: readonly string[];
  /** What the addresses count. */
  connections(): number[];
}

/** Dials with these options, and without an exporter. `onStage` is called when the dial reaches a stage. */
export function dialled(
  options: FluentForwardLogExporterOptions,
  clock: Clock = systemClock,
  onStage: (stage: Stage, dial: () => Dial) => void = () => {},
): Dialled {
  const config = resolveExporterConfig(options, {}, () => {});
  const shared = { clock, random: Math.random, diagnostics: new Diagnostics(clock) };
  const { connectTimeoutMillis, endpoint: endpoints, resolver, tls } = config;
  const addresses = new Addresses({
    ...shared,
    endpoints,
    resolver,
    tlsServerName: tls.serverName,
    connectTimeoutMillis,
  });
  const opened: OpenSocket[] = [];
  const failures: Failure[] = [];
  const stages: Stage[] = [];
  const released: string[] = [];
  const dial = new Dial({
    findAddress: () => addresses.acquire(undefined),
    release: (address: Address) => {
      released.push(address.text);
      addresses.release(address);
    },
    credentials: new Credentials({ ...shared, config }),
    connectTimeoutMillis,
    clock,
    onStage: (stage) => {
      stages.push(stage);
      onStage(stage, () => dial);
    },
    onOpen: (socket) => opened.push(socket),
    onFailure: (failure) => failures.push(failure),
  });
  onTestFinished(() => {
    for (const { socket } of opened) socket.destroy();
    addresses.close();
  });
  const connections = () => addresses.all.map((address) => address.connections);
  return { dial, opened, failures, stages, released, connections };
}
