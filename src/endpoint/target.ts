import { escapeControls } from '../printable.ts';

/** What a socket connects to. With `tls`, the server's certificate has to contain `serverName`. */
export type Target =
  | { readonly host: string; readonly port: number; readonly tls?: { readonly serverName: string } }
  | { readonly path: string };

/** The name that the server's certificate has to contain; `undefined` without TLS. */
export function serverNameOf(target: Target): string | undefined {
  return 'path' in target ? undefined : target.tls?.serverName;
}

/** `host:port` or the path, as messages show it. */
export function targetText(target: Target): string {
  if ('path' in target) return escapeControls(target.path);
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
}
