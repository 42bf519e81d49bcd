import type { Clock } from '../clock.ts';
import type { ConnectionConfig } from '../config/config.ts';
import { Credentials } from '../connection/credentials.ts';
import { ConnectionPool } from '../connection/pool.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { Addresses } from '../endpoint/addresses.ts';
import type { Counters } from '../stats.ts';
import { OutageReport } from '../telemetry/outage-report.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { Sender } from './sender.ts';

export interface DeliveryParts {
  readonly config: ConnectionConfig;
  readonly clock: Clock;
  readonly random: () => number;
  readonly diagnostics: Diagnostics;
  readonly counters: Counters;
  readonly telemetry: Telemetry;
}

/** What brings chunks to their acks. */
export interface Delivery {
  readonly addresses: Addresses;
  readonly credentials: Credentials;
  readonly pool: ConnectionPool;
  readonly sender: Sender;
}

/** Opens no connection: the first chunk does. */
export function createDelivery(parts: DeliveryParts): Delivery {
  const { clock, config, counters, diagnostics } = parts;
  const { endpoint: endpoints, tls } = config;
  const addresses = new Addresses({ ...config, ...parts, endpoints, tlsServerName: tls.serverName });
  const credentials = new Credentials({ config, clock, diagnostics });
  const outage = new OutageReport({ clock, counters, diagnostics });
  const pool = new ConnectionPool({ ...parts, addresses, credentials, outage });
  return { addresses, credentials, pool, sender: new Sender({ ...parts, pool }) };
}
