import { InvalidServiceUrlError } from '../../pulsar-wire.errors.js';

/** One address of a broker or proxy. */
export interface ServiceAddress {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Where to begin: every address leads to the same cluster. */
export interface ServiceUrl {
  readonly tls: boolean;
  /** At least one, in the order given. */
  readonly addresses: readonly ServiceAddress[];
}

const SCHEMES: ReadonlyMap<string, { readonly tls: boolean; readonly port: number }> = new Map([
  ['pulsar', { tls: false, port: 6650 }],
  ['pulsar+ssl', { tls: true, port: 6651 }],
]);
const ADDRESS = /^(?:\[([0-9a-f:.%]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i;

/**
 * Takes a service URL apart. The ports default to 6650, with TLS to 6651.
 *
 * @throws {@link InvalidServiceUrlError}, which never shows the URL.
 */
export function parseServiceUrl(url: string): ServiceUrl {
  const separator = url.indexOf('://');
  const scheme = SCHEMES.get(url.slice(0, Math.max(0, separator)).toLowerCase());
  if (scheme === undefined) {
    throw new InvalidServiceUrlError('the scheme is neither "pulsar" nor "pulsar+ssl"');
  }
  const authority = url.slice(separator + 3).replace(/\/$/, '');
  if (authority.includes('@')) {
    throw new InvalidServiceUrlError('it holds credentials, which belong into the authentication option');
  }
  if (/[/?#]/.test(authority)) {
    throw new InvalidServiceUrlError('it holds a path or a query');
  }
  return { tls: scheme.tls, addresses: authority.split(',').map((text, index) => address(text, index, scheme.port)) };
}

function address(text: string, index: number, defaultPort: number): ServiceAddress {
  const match = ADDRESS.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new InvalidServiceUrlError(`address ${index + 1} is no "host" or "host:port"`);
  }
  return { host, port };
}
