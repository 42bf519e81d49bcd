import { type Clock, systemClock } from '../clock.ts';
import { createCompressor } from '../compress/create.ts';
import { type Config, resolveExporterConfig, resolveProcessorConfig } from '../config/config.ts';
import { urlsOf } from '../config/endpoint.ts';
import type { FluentForwardLogExporterOptions, FluentForwardLogRecordProcessorOptions } from '../config/options.ts';
import { createDelivery } from '../delivery/create.ts';
import { Exports } from '../delivery/exports.ts';
import { Flusher, microtasksDone } from '../delivery/flush.ts';
import { type KeptChunk, KeptChunks } from '../delivery/kept-chunks.ts';
import { describeFlushTimeout, describeRefusedChunk } from '../delivery/unacknowledged.ts';
import { Diagnostics } from '../diagnostics.ts';
import { BatchEncoder } from '../encode/batch.ts';
import { BufferPool } from '../encode/buffer-pool.ts';
import { createLayout } from '../encode/layout/create.ts';
import { MESSAGE_CEILING_BYTES } from '../encode/message.ts';
import { FunctionTagger, TagTemplate } from '../encode/tag.ts';
import { Counters } from '../stats.ts';
import { type ComponentType, nextComponentName } from '../telemetry/component.ts';
import { FailureReport } from '../telemetry/failure-report.ts';
import { LossReport } from '../telemetry/loss-report.ts';
import { Telemetry } from '../telemetry/telemetry.ts';
import { BatchIntake } from './batch-intake.ts';
import { Drops } from './drops.ts';
import { PipelineEnding } from './ending.ts';
import { MemoryBound } from './memory.ts';
import { Pipeline } from './pipeline.ts';
import { RecordEncoder } from './record-encoder.ts';
import { RecordIntake } from './record-intake.ts';
import { Stages } from './stages.ts';

/** Time and chance, which tests replace. */
export interface Dependencies {
  readonly clock: Clock;
  /** From 0 (included) to 1 (excluded). */
  readonly random: () => number;
}

const RUNTIME: Dependencies = { clock: systemClock, random: Math.random };

/** Creates the way of batches to their acks. Opens no connection. Throws what `resolveExporterConfig` throws. */
export function createBatchIntake(
  options: FluentForwardLogExporterOptions,
  { clock, random }: Dependencies = RUNTIME,
): BatchIntake {
  const diagnostics = new Diagnostics(clock);
  const config = resolveExporterConfig(options, process.env, (message) => diagnostics.warnOnce(message));
  const parts = createParts({ config, clock, random, diagnostics, componentType: 'fluent_forward_log_exporter' });
  const { buffers, counters, endpoint, pool, roundMillis, sender, stages, telemetry, warn } = parts;
  const { timeoutMillis, flushTimeoutMillis } = config;
  const running = new Exports({ carrier: stages, pool, clock, counters, telemetry, warn, timeoutMillis, roundMillis });
  const prepare = microtasksDone;
  const flusher = new Flusher({ running, sender, clock, flushTimeoutMillis, roundMillis, prepare });
  const encoder = createEncoder(config, buffers, warn);
  const failures = new FailureReport({ clock, diagnostics, endpoint, timeoutMillis });
  const pipeline = new Pipeline(parts);
  const intake = new BatchIntake({ config, clock, pipeline, encoder, running, flusher, failures });
  if (config.flushAtExit) pipeline.joinProcessEnd(new PipelineEnding(intake, parts.delivery));
  return intake;
}

/** Creates the way of single records to their acks. Opens no connection. Throws what `resolveProcessorConfig` throws. */
export function createRecordIntake(
  options: FluentForwardLogRecordProcessorOptions,
  { clock, random }: Dependencies = RUNTIME,
): RecordIntake {
  const diagnostics = new Diagnostics(clock);
  const config = resolveProcessorConfig(options, process.env, (message) => diagnostics.warnOnce(message));
  const parts = createParts({ config, clock, random, diagnostics, componentType: 'fluent_forward_log_processor' });
  const { buffers, counters, endpoint, memory, pool, roundMillis, sender, stages, telemetry, warn } = parts;
  const { flushTimeoutMillis, maxInFlightBytes, scheduledDelayMillis } = config;
  const pipeline = new Pipeline(parts);
  const losses = new LossReport({
    clock,
    diagnostics,
    endpoint,
    maxInFlightBytes,
    lastFault: () => pool.lastError?.message,
  });
  const drops = new Drops({ counters, losses, telemetry });
  const chunks: KeptChunks = new KeptChunks({
    carrier: stages,
    onRefused: (kept, sent) => drops.refused(chunks, kept, () => describeRefusedChunk(sent)),
    onFlushTimeout: (late, timeout) => {
      // What is left at a shutdown is reported as lost.
      if (pipeline.isShutDown) return;
      // Without chunks, the records wait for their resource.
      const records = late.length > 0 ? sumOf(late) : counters.heldRecords;
      warn('flush', describeFlushTimeout(records, timeout, pool.lastError));
    },
  });
  const encoder = new RecordEncoder({
    ...encoderParts(config, warn),
    usesResource: usesResource(config),
    pool: buffers,
    memory,
    clock,
    scheduledDelayMillis,
    warn,
    onSealed: (chunk, severities) => {
      // Once a chunk, because the application may set the global meter provider at any time.
      pipeline.startMetrics();
      chunks.keep(chunk, severities);
    },
    onLost: (severities, error) => drops.unsealed(severities, error),
    onUnencodable: (error, severityNumber) => drops.unencodable(error, severityNumber),
  });
  const prepare = () => encoder.sealAll();
  const flusher = new Flusher({ running: chunks, sender, clock, flushTimeoutMillis, roundMillis, prepare });
  const intake = new RecordIntake({ pipeline, encoder, chunks, flusher, sender, drops, losses });
  if (config.flushAtExit) pipeline.joinProcessEnd(new PipelineEnding(intake, parts.delivery));
  return intake;
}

interface PartsOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: () => number;
  readonly diagnostics: Diagnostics;
  readonly componentType: ComponentType;
}

/** Creates what every intake shares. */
function createParts({ config, clock, random, diagnostics, componentType }: PartsOptions) {
  const name = nextComponentName(componentType);
  const telemetry = new Telemetry(name);
  const counters = new Counters();
  const endpoint = urlsOf(config.endpoint);
  // The endpoints show which exporter or processor a message is about.
  const warn = (cause: string, message: string) => void diagnostics.warn(cause, `${endpoint}: ${message}`);
  const buffers = new BufferPool();
  const memory = new MemoryBound(config.maxInFlightBytes);
  const compressor = createCompressor(config, buffers, warn);
  const delivery = createDelivery({ config, clock, random, diagnostics, counters, telemetry });
  const { pool, sender } = delivery;
  const stages = new Stages({ compressor, sender, memory });
  const { connectTimeoutMillis, ackTimeoutMillis } = config;
  const roundMillis = connectTimeoutMillis + ackTimeoutMillis;
  const shared = { componentType, name, endpoint, config, clock, counters, telemetry, warn };
  return { ...shared, buffers, delivery, memory, pool, sender, stages, roundMillis };
}

export function createEncoder(
  config: Config,
  pool: BufferPool,
  warn: (cause: string, message: string) => void,
): BatchEncoder {
  return new BatchEncoder({ ...encoderParts(config, warn), pool, warn });
}

function usesResource({ resourceAttributes, tag }: Config): boolean {
  return resourceAttributes !== false || (tag instanceof TagTemplate && tag.usesResource);
}

function sumOf(chunks: readonly KeptChunk[]): number {
  return chunks.reduce((sum, { severities }) => sum + severities.total, 0);
}

/** What the encoders of batches and of single records share. */
function encoderParts(config: Config, warn: (cause: string, message: string) => void) {
  const { tag, maxChunkBytes } = config;
  return {
    tag: typeof tag === 'function' ? new FunctionTagger(tag, warn) : tag,
    limits: { maxChunkBytes, ceilingBytes: MESSAGE_CEILING_BYTES },
    layout: createLayout(config, warn),
  };
}
