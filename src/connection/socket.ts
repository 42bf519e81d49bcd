import { connect, type Socket } from 'node:net';

/** Where a socket can be opened to; with `tls`, over TLS to a server of that name. */
export type Target =
  | { readonly host: string; readonly port: number; readonly tls?: { readonly serverName: string } }
  | { readonly path: string };

const KEEP_ALIVE_DELAY_MILLIS = 30_000;

/** Opens a socket that does not keep the process alive: the export that waits for it does. */
export function openSocket(target: Target): Socket {
  if ('tls' in target) throw new Error('TLS comes with a later commit');
  const socket = connect({
    ...target,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_DELAY_MILLIS,
  });
  return socket.unref();
}

/** `host:port` or the path, as it stands in messages. */
export function targetText(target: Target): string {
  if ('path' in target) return target.path;
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
}
