import { type Clock, systemClock } from '../clock.ts';
import { createCompressor } from '../compress/create.ts';
import { type Config, resolveConfig } from '../config/config.ts';
import { urlsOf } from '../config/endpoint.ts';
import type { FluentForwardLogExporterOptions } from '../config/options.ts';
import { Credentials } from '../connection/credentials.ts';
import { ConnectionPool, type PoolOptions } from '../connection/pool.ts';
import { Exports } from '../delivery/exports.ts';
import { Flusher } from '../delivery/flush.ts';
import { Sender } from '../delivery/sender.ts';
import { Diagnostics } from '../diagnostics.ts';
import { BatchEncoder } from '../encode/batch.ts';
import { BufferPool } from '../encode/buffer-pool.ts';
import { createLayout } from '../encode/layout/create.ts';
import { MESSAGE_CEILING_BYTES } from '../encode/message.ts';
import { FunctionTagger } from '../encode/tag.ts';
import { Addresses } from '../endpoint/addresses.ts';
import { Counters } from '../stats.ts';
import { nextComponentName } from '../telemetry/component.ts';
import { OutageReport } from '../telemetry/outage-report.ts';
import { Telemetry } from '../telemetry/telemetry.ts';
import { MemoryBound } from './memory.ts';
import { Pipeline } from './pipeline.ts';
import { Stages } from './stages.ts';

/** Time and chance, which tests replace. */
export interface Dependencies {
  readonly clock: Clock;
  /** From 0 (included) to 1 (excluded). */
  readonly random: () => number;
}

const RUNTIME: Dependencies = { clock: systemClock, random: Math.random };

/** Creates all parts of a pipeline and connects them. Opens no connection. Throws what `resolveConfig` throws. */
export function createPipeline(
  options: FluentForwardLogExporterOptions,
  { clock, random }: Dependencies = RUNTIME,
): Pipeline {
  const name = nextComponentName();
  const telemetry = new Telemetry(name);
  const counters = new Counters();
  const diagnostics = new Diagnostics(clock);
  const config = resolveConfig(options, process.env, (message) => diagnostics.warnOnce(message));
  const endpoint = urlsOf(config.endpoint);
  // The endpoints show which exporter a message is about.
  const warn = (cause: string, message: string) => void diagnostics.warn(cause, `${endpoint}: ${message}`);
  const buffers = new BufferPool();
  const memory = new MemoryBound(config.maxInFlightBytes);
  const encoder = createEncoder(config, buffers, warn);
  const compressor = createCompressor(config, buffers, warn);
  const pool = createPool({ config, clock, random, diagnostics, counters, telemetry });
  const sender = new Sender({ pool, clock, random, counters, telemetry, warn });
  const stages = new Stages({ compressor, sender, memory });
  const { timeoutMillis, flushTimeoutMillis, connectTimeoutMillis, ackTimeoutMillis } = config;
  const roundMillis = connectTimeoutMillis + ackTimeoutMillis;
  const running = new Exports({ carrier: stages, pool, clock, telemetry, timeoutMillis, roundMillis });
  const flusher = new Flusher({ running, sender, clock, flushTimeoutMillis, roundMillis });
  const shared = { name, endpoint, config, clock, counters, telemetry, warn };
  return new Pipeline({ ...shared, encoder, memory, stages, pool, running, flusher });
}

type PoolParts = Omit<PoolOptions, 'addresses' | 'credentials' | 'outage'>;

function createPool(parts: PoolParts): ConnectionPool {
  const { clock, config, counters, diagnostics } = parts;
  const { endpoint: endpoints, tls } = config;
  return new ConnectionPool({
    ...parts,
    addresses: new Addresses({ ...config, ...parts, endpoints, tlsServerName: tls.serverName }),
    credentials: new Credentials({ config, clock, diagnostics }),
    outage: new OutageReport({ clock, counters, diagnostics }),
  });
}

export function createEncoder(
  config: Config,
  pool: BufferPool,
  warn: (cause: string, message: string) => void,
): BatchEncoder {
  const { tag, maxChunkBytes } = config;
  return new BatchEncoder({
    tag: typeof tag === 'function' ? new FunctionTagger(tag, warn) : tag,
    limits: { maxChunkBytes, ceilingBytes: MESSAGE_CEILING_BYTES },
    layout: createLayout(config, warn),
    pool,
    warn,
  });
}
