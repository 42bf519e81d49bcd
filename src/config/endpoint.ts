import { isIP } from 'node:net';
import { escapeControls, printable } from '../printable.ts';

/** An endpoint with its parameters. The same can be written as `url?weight=2&standby=true`. */
export interface EndpointOptions {
  /** `tcp://host[:port]`, `tls://host[:port]`, `srv+tcp://name`, `srv+tls://name` or `unix:///path`. */
  url: string;
  /**
   * How much load each of its addresses gets in relation to others, 1 to 65535. Default 1.
   * For SRV names it multiplies the weights of the records.
   */
  weight?: number | undefined;
  /** Whether it is used only while no address of a regular endpoint (one that is no standby) is healthy. Default false. */
  standby?: boolean | undefined;
}

/** One endpoint as the user configured it: a receiver, or a name that stands for several. */
export type Endpoint = EndpointLocation & {
  /** The location as messages show it. */
  readonly url: string;
  /** How much load each of its addresses gets in relation to others. */
  readonly weight: number;
  /** Whether it is used only while no address of a regular endpoint (one that is no standby) is healthy. */
  readonly standby: boolean;
};

type EndpointLocation =
  /** For SRV, `host` is the name of the records, and `port` is used for addresses without a port. */
  | { readonly protocol: 'tcp' | 'tls' | 'srv+tcp' | 'srv+tls'; readonly host: string; readonly port: number }
  | { readonly protocol: 'unix'; readonly path: string };

/** An endpoint whose addresses are looked up. */
export type NetworkEndpoint = Exclude<Endpoint, { protocol: 'unix' }>;

/** Whether the endpoint is dialled with TLS. */
export function isEncrypted({ protocol }: Endpoint): boolean {
  return protocol === 'tls' || protocol === 'srv+tls';
}

/** The port that Fluentd and Fluent Bit listen on by default. */
export const DEFAULT_PORT = 24224;
/** The weight of an SRV record has 16 bits. */
const MAX_WEIGHT = 65_535;

/** The longest path that fits into a `sockaddr_un` with its closing NUL. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

export const ENDPOINT_RULE: string =
  'tcp://host[:port], tls://host[:port] (IPv6 addresses in brackets, port 1 to 65535, default 24224), ' +
  `srv+tcp://name, srv+tls://name or unix:///absolute/path (at most ${MAX_PATH_BYTES} bytes), ` +
  'each with ?weight=1…65535 and standby=true if need be; ' +
  'several with commas between them or as an array of strings and { url, weight?, standby? }';

/** A name in its ASCII form. Underscores are not allowed in host names, but they are in use. */
const NAME = /^(?=.{1,254}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?$/;
/** A name must not end in a number, because it would be read as an IPv4 address. */
const NUMBER_AT_END = /(^|\.)(\d+|0x[\da-f]*)\.?$/;

/**
 * Parses a value that {@link hasEndpointType} accepts.
 * @throws RangeError that says which of the endpoints is wrong and why.
 */
export function parseEndpoints(value: unknown): readonly Endpoint[] {
  const parts = typeof value === 'string' ? value.split(',') : ([value].flat() as (string | EndpointOptions)[]);
  // A password can contain a comma. A part of such a list could show a piece of the password.
  const list = typeof value === 'string' && withoutSecrets(value) !== value ? withoutSecrets(value) : undefined;
  if (parts.length === 0) throw new RangeError('there is no endpoint in it');
  const endpoints = new Map<string, Endpoint>();
  for (const part of parts) {
    const endpoint = parseEndpoint(part, list);
    if (endpoints.has(endpoint.url)) throw new RangeError(`${endpoint.url} is listed twice`);
    endpoints.set(endpoint.url, endpoint);
  }
  const parsed = [...endpoints.values()];
  if (parsed.every(({ standby }) => standby))
    throw new RangeError('all endpoints are standbys; at least one must not be');
  return parsed;
}

/** If `list` is given, messages show it instead of the part. */
function parseEndpoint(part: string | EndpointOptions, list: string | undefined): Endpoint {
  const options = typeof part === 'string' ? { url: part } : part;
  const text = options.url.trim();
  const shown = list ?? withoutSecrets(text);
  const refuse = (reason: string) => new RangeError(`"${printable(shown)}" ${reason}`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const location = url && locationOf(url);
  if (url === undefined || location === undefined) throw refuse('is no endpoint');
  for (const name of url.searchParams.keys()) {
    if (name !== 'weight' && name !== 'standby') {
      // The name can be a part of a password before an @.
      throw refuse(`has an unknown parameter, ${shown.includes('…@') ? '…' : printable(name)}`);
    }
    if (options[name] !== undefined || url.searchParams.getAll(name).length > 1) throw refuse(`has ${name} twice`);
  }
  const given = url.searchParams.get('weight') ?? '1';
  const weight = options.weight ?? (/^\d+$/.test(given) ? Number(given) : Number.NaN);
  if (!Number.isInteger(weight) || weight < 1 || weight > MAX_WEIGHT) {
    throw refuse(`has a weight that is no integer from 1 to ${MAX_WEIGHT}`);
  }
  const standby = String(options.standby ?? url.searchParams.get('standby') ?? false).toLowerCase();
  if (standby !== 'true' && standby !== 'false') throw refuse('has a standby that is neither true nor false');
  return Object.freeze({ ...location, weight, standby: standby === 'true' });
}

function locationOf(url: URL): (EndpointLocation & { readonly url: string }) | undefined {
  if (url.username !== '' || url.password !== '' || url.hash !== '') return undefined;
  // The URL parser makes names lowercase only for the protocols of the web.
  const name = url.hostname.toLowerCase();
  switch (url.protocol) {
    case 'tcp:':
    case 'tls:': {
      if (!isHost(name) || !isBare(url)) return undefined;
      const port = url.port === '' ? DEFAULT_PORT : Number(url.port);
      if (port === 0) return undefined;
      const protocol = url.protocol === 'tcp:' ? 'tcp' : 'tls';
      const host = name.replace(/^\[(.*)\]$/, '$1');
      return { protocol, host, port, url: `${protocol}://${name}:${port}` };
    }
    case 'srv+tcp:':
    case 'srv+tls:': {
      if (!isName(name) || url.port !== '' || !isBare(url)) return undefined;
      const protocol = url.protocol === 'srv+tcp:' ? 'srv+tcp' : 'srv+tls';
      return { protocol, host: name, port: DEFAULT_PORT, url: `${protocol}://${name}` };
    }
    case 'unix:': {
      if (url.host !== '' || !/^\/./.test(url.pathname)) return undefined;
      try {
        const path = decodeURIComponent(url.pathname);
        if (path.includes('\0') || Buffer.byteLength(path) > MAX_PATH_BYTES) return undefined;
        return { protocol: 'unix', path, url: `unix://${escapeControls(path)}` };
      } catch {
        return undefined;
      }
    }
    default:
      return undefined;
  }
}

function isHost(text: string): boolean {
  return isIP(text.replace(/^\[(.*:.*)\]$/, '$1')) !== 0 || isName(text);
}

function isName(text: string): boolean {
  return NAME.test(text) && !NUMBER_AT_END.test(text);
}

function isBare(url: URL): boolean {
  return url.pathname === '' || url.pathname === '/';
}

/** Hides the user and the password before an `@`. A password can contain any character, also commas and slashes. */
export function withoutPassword(text: string): string {
  return text.replace(/^([a-z][\w+.-]*:\/\/)?.*(@|%40)/is, '$1…@');
}

/** Hides what can be a secret in a text that is meant as endpoints. */
export function withoutSecrets(text: string): string {
  return (
    withoutPassword(text)
      // A user with a password and no host looks like a host with a port.
      .replace(/((?:^|\/\/|,)[^/?:@,[\]]+:)(?!\/|\d*(?:[/?#,\s]|$)).*/is, '$1…')
      .replace(/([?&](?!weight=|standby=)[^=&]*=).*/is, '$1…')
  );
}

/** Whether the value has the type of the option `endpoint`. */
export function hasEndpointType(value: unknown): boolean {
  return Array.isArray(value) ? value.every(isOne) : isOne(value);
}

function isOne(value: unknown): boolean {
  if (typeof value === 'string') return true;
  if (typeof value !== 'object' || value === null) return false;
  const { url, weight, standby, ...others } = value as Record<string, unknown>;
  return (
    typeof url === 'string' &&
    (weight === undefined || typeof weight === 'number') &&
    (standby === undefined || typeof standby === 'boolean') &&
    Object.keys(others).length === 0
  );
}

/** The endpoints as messages show them. */
export function urlsOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ url }) => url).join(',');
}
