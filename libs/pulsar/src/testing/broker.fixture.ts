import type { Clock, Random } from '@smartpulse/resilience';
import type { PulsarTransport } from '../transport/pulsar.transport.js';
import type { AccessControl, BrokerControl, PulsarTransportFixture } from './transport-fixture.js';

/** What a {@link brokerFixture} is made of. */
export interface BrokerFixtureOptions {
  /** The real one. */
  readonly clock: Clock;
  readonly random: Random;
  /** Another transport to the same broker; connected and closed by the fixture. */
  readonly create: () => PulsarTransport;
  /** `tenant/namespace` for the topics. Default `public/default`. */
  readonly namespace?: string | undefined;
  /** Default: none. */
  readonly broker?: BrokerControl | undefined;
  /** See {@link PulsarTransportFixture.resends}. */
  readonly resends?: boolean | undefined;
  /** Default: none. */
  readonly access?: AccessControl | undefined;
}

/** A fixture over a broker that runs elsewhere: time is real, topics have names that nobody had before. */
export function brokerFixture(options: BrokerFixtureOptions): PulsarTransportFixture {
  const { clock, create, namespace = 'public/default' } = options;
  const run = options.random.id().replace(/[^A-Za-z0-9]/g, '');
  const transports: PulsarTransport[] = [];
  let topics = 0;
  return {
    ...(options.broker === undefined ? {} : { broker: options.broker }),
    resends: options.resends,
    ...(options.access === undefined ? {} : { access: options.access }),
    transport: async () => {
      const transport = create();
      transports.push(transport);
      await transport.connect();
      return transport;
    },
    topic: () => `persistent://${namespace}/contract-${run}-${topics++}`,
    advance: (ms) =>
      new Promise((resolve) => {
        clock.setTimer(ms, resolve);
      }),
    close: async () => {
      await Promise.all(transports.map((transport) => transport.close()));
    },
  };
}
