export type { CompressionName } from './compress/codecs.ts';
export type { Endpoint, EndpointOptions, NetworkEndpoint } from './config/endpoint.ts';
export type {
  FluentForwardLogExporterOptions,
  FluentForwardLogRecordProcessorOptions,
  FluentForwardOptions,
  ResolvedAddress,
  Resolver,
  TlsOptions,
} from './config/options.ts';
export type { TextOrFunction } from './config/source.ts';
export type { LayoutFunction } from './encode/layout/custom.ts';
export type { LayoutName } from './encode/layout/layouts.ts';
export type { TagFunction } from './encode/tag.ts';
export {
  type ConnectionErrorCode,
  type ExportErrorCode,
  FluentForwardConnectionError,
  FluentForwardExportError,
} from './errors.ts';
export { flushOnSignals } from './exit/signals.ts';
export { FluentForwardLogExporter } from './exporter.ts';
export { FluentForwardLogRecordProcessor } from './processor.ts';
export type {
  AddressStats,
  ConnectionStats,
  DropReason,
  FluentForwardProcessorStats,
  FluentForwardStats,
  HeldRecords,
  Volume,
} from './stats.ts';
export type { ChunkInfo, ConnectionInfo, FluentForwardChannels } from './telemetry/channels.ts';
