export type { Endpoint } from './config/endpoint.ts';
export type { FluentForwardLogExporterOptions, ResolvedAddress, Resolver } from './config/options.ts';
export {
  type ConnectionErrorCode,
  type ExportErrorCode,
  FluentForwardConnectionError,
  FluentForwardExportError,
} from './errors.ts';
export { FluentForwardLogExporter } from './exporter.ts';
