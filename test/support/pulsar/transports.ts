import type { PulsarTransport } from '@smartpulse/pulsar';
import { NativeTransport } from '@smartpulse/pulsar/native';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { WireTransport } from '@smartpulse/pulsar/wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { missingAddon } from './native-addon.js';
import type { PulsarStandalone } from './standalone.js';

/** The transports that speak to a broker of its own process. */
export type TransportName = 'wire' | 'websocket' | 'native';

const parts = { clock: new SystemClock(), random: new SystemRandom() };

/** A transport to the broker at `url`, patient enough for one that is killed and restarted meanwhile. */
export function transportTo(name: TransportName, url: string): PulsarTransport {
  const options = { url, token: undefined, tls: undefined, connectTimeoutMs: 5_000, operationTimeoutMs: 60_000 };
  if (name === 'websocket') {
    return new WebSocketTransport(options, parts);
  }
  return name === 'wire' ? new WireTransport(options, parts) : new NativeTransport(options, parts);
}

/** A transport, and where it finds the broker. */
export interface TransportOnBroker {
  readonly name: TransportName;
  readonly url: () => string;
}

/** Every transport that loads here, on a broker that is started before the first test. */
export function transportsOn(broker: () => PulsarStandalone): readonly TransportOnBroker[] {
  const all: readonly TransportOnBroker[] = [
    { name: 'wire', url: () => broker().serviceUrl },
    { name: 'websocket', url: () => broker().webSocketUrl },
    { name: 'native', url: () => broker().serviceUrl },
  ];
  return all.filter(({ name }) => name !== 'native' || missingAddon === undefined);
}
