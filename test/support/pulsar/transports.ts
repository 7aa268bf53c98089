import type { PulsarTransport } from '@smartpulse/pulsar';
import { NativeTransport } from '@smartpulse/pulsar/native';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { WireTransport } from '@smartpulse/pulsar/wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';

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
