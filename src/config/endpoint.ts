/** A receiver as the user configured it. */
export type Endpoint =
  | { readonly protocol: 'tcp'; readonly host: string; readonly port: number; readonly url: string }
  | { readonly protocol: 'unix'; readonly path: string; readonly url: string };

/** The port that Fluentd and Fluent Bit listen on unless told otherwise. */
export const DEFAULT_PORT = 24224;

export const ENDPOINT_RULE =
  'tcp://host[:port] (IPv6 addresses in brackets, port 1 to 65535, default 24224) or unix:///absolute/path';

/** A name (in its ASCII form) or an IPv4 address, or an IPv6 address in brackets. */
const HOST = /^([\w.-]+|\[[0-9a-f:.]+\])$/i;

/** Parses an endpoint; `undefined` when it breaks {@link ENDPOINT_RULE}. */
export function parseEndpoint(text: string): Endpoint | undefined {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    return undefined;
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return undefined;
  switch (url.protocol) {
    case 'tcp:': {
      if (!HOST.test(url.hostname) || (url.pathname !== '' && url.pathname !== '/')) return undefined;
      const port = url.port === '' ? DEFAULT_PORT : Number(url.port);
      if (port === 0) return undefined;
      const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
      return { protocol: 'tcp', host, port, url: `tcp://${url.hostname}:${port}` };
    }
    case 'unix:': {
      if (url.host !== '' || !/^\/./.test(url.pathname)) return undefined;
      try {
        const path = decodeURIComponent(url.pathname);
        return path.includes('\0') ? undefined : { protocol: 'unix', path, url: `unix://${path}` };
      } catch {
        return undefined;
      }
    }
    default:
      return undefined;
  }
}
