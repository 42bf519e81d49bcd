import { systemClock } from '../../clock.ts';
import type { ExporterConfig } from '../../config/config.ts';
import type { FluentForwardLogExporterOptions, Resolver } from '../../config/options.ts';
import { Credentials } from '../../connection/credentials.ts';
import { Diagnostics } from '../../diagnostics.ts';
import { BufferPool } from '../../encode/buffer-pool.ts';
import type { Chunk } from '../../encode/chunk.ts';
import type { Address } from '../../endpoint/address.ts';
import { EndpointAddresses } from '../../endpoint/endpoint-addresses.ts';
import { StrideScheduler } from '../../endpoint/stride-scheduler.ts';
import { createEncoder } from '../../pipeline/create.ts';
import { checkAddress } from './address-check.ts';
import { checkExporter } from './exporter-check.ts';
import type { Finding } from './finding.ts';
import { remedyFor } from './remedy.ts';
import type { TestRecords } from './test-record.ts';

export interface CheckupOptions {
  readonly config: ExporterConfig;
  /** What `config` is made of, beside the environment. */
  readonly options: FluentForwardLogExporterOptions;
  readonly records: TestRecords;
}

/**
 * Walks the way of a record: names, then every address by itself, then the exporter over those that
 * work. Each step has the time limits of the configuration, so it ends whatever the receivers do.
 */
export async function* checkUp({ config, options, records }: CheckupOptions): AsyncGenerator<Finding> {
  const diagnostics = new Diagnostics(systemClock);
  const sources = config.endpoint.map(
    (endpoint) =>
      new EndpointAddresses({
        endpoint,
        resolver: undefined,
        tlsServerName: config.tls.serverName,
        clock: systemClock,
        random: Math.random,
        schedule: new StrideScheduler(),
        diagnostics,
        isOneOfSeveral: false,
      }),
  );
  const lookups = config.endpoint.map(({ url }, i) => lookUp(url, sources[i] as EndpointAddresses, config));
  for (const lookup of lookups) yield* await lookup;

  const credentials = new Credentials({ config, clock: systemClock, diagnostics });
  const encode = encoderFor(config, records);
  const addresses = sources.flatMap(({ known }) => known);
  const checks = addresses.map((address) => checkAddress({ address, config, credentials, chunk: encode() }));
  const working: Address[] = [];
  for (const [i, check] of checks.entries()) {
    const findings = await check;
    yield* findings;
    if (findings.every(({ outcome }) => outcome !== 'failed')) working.push(addresses[i] as Address);
  }
  if (working.length === 0) return;
  yield* checkExporter({ config, options: { ...options, resolver: resolverOf(working) }, records });
}

/** Nothing for an endpoint that needs no lookup. */
async function lookUp(
  url: string,
  source: EndpointAddresses,
  { connectTimeoutMillis }: ExporterConfig,
): Promise<Finding[]> {
  if (source.known.length > 0) return [];
  const start = systemClock.now();
  await source.refresh(connectTimeoutMillis);
  const finding = { subject: url, check: 'name lookup', millis: systemClock.now() - start } as const;
  const { problem, known } = source;
  if (problem === undefined) return [{ ...finding, outcome: 'passed', text: known.map(({ text }) => text).join(', ') }];
  const code = 'FLUENT_FORWARD_LOOKUP_FAILED';
  return [{ ...finding, outcome: 'failed', text: problem, code, remedy: remedyFor('name lookup', code) }];
}

/** A test record as the exporter would send it, uncompressed. */
function encoderFor(config: ExporterConfig, records: TestRecords): () => Chunk {
  const encoder = createEncoder(config, new BufferPool(), () => {});
  return () => encoder.encode([records.create('ack')], systemClock.wallTime()).chunks[0] as Chunk;
}

/** Gives the exporter only what works. */
function resolverOf(addresses: readonly Address[]): Resolver {
  return async ({ url }) =>
    addresses.flatMap(({ endpoint, target, priority }) =>
      endpoint.url === url && 'host' in target ? { address: target.host, port: target.port, priority } : [],
    );
}
