import { parseServiceUrl, type ServiceAddress } from '../protocol/topic/service-url.js';

/** Where a broker or a proxy listens, and whether it speaks TLS there. */
export interface BrokerAddress extends ServiceAddress {
  readonly tls: boolean;
}

/**
 * Every address of one or several service URLs.
 *
 * @throws {@link InvalidServiceUrlError}
 */
export function brokerAddresses(urls: string | readonly string[]): readonly BrokerAddress[] {
  return (typeof urls === 'string' ? [urls] : urls).flatMap((url) => {
    const { tls, addresses } = parseServiceUrl(url);
    return addresses.map(({ host, port }) => ({ host, port, tls }));
  });
}

/** `host:port` as the protocol writes it; brackets around an IPv6 address. */
export function hostPort({ host, port }: ServiceAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Names an address in keys and errors. */
export function addressUrl(address: BrokerAddress): string {
  return `${address.tls ? 'pulsar+ssl' : 'pulsar'}://${hostPort(address)}`;
}
