import type { Clock } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import type { PulsarTransport } from '../transport/pulsar.transport.js';
import type { OperatorAct } from './subscription.contract.js';
import type { PulsarTransportFixture } from './transport-fixture.js';

/**
 * What the operator of an {@link inProcessFixture} can do. There is no connection to cut or to encrypt, and whoever has the broker's object is let in; it ends with its
 * process.
 */
export const IN_PROCESS_ACTS: readonly OperatorAct[] = ['moves', 'ends', 'deletes'];

/** A fixture over a new {@link InProcessBroker} on a virtual clock. */
export function inProcessFixture(
  wrap: (
    transport: PulsarTransport,
    parts: { readonly broker: InProcessBroker; readonly clock: Clock },
  ) => PulsarTransport = (transport) => transport,
): PulsarTransportFixture {
  const clock = new VirtualClock();
  const broker = new InProcessBroker({ clock, random: new SeededRandom() });
  const transports: PulsarTransport[] = [];
  let topics = 0;
  return {
    broker: {
      remove: async (topic) => broker.deleteTopic(topic),
      terminate: (topic) => broker.terminate(topic),
      unload: (topic) => broker.unload(topic),
    },
    transport: async () => {
      const transport = wrap(new InProcessTransport(broker), { broker, clock });
      transports.push(transport);
      await transport.connect();
      return transport;
    },
    topic: () => `persistent://public/default/contract-${topics++}`,
    advance: (ms) => clock.advance(ms),
    close: async () => {
      await Promise.all(transports.map((transport) => transport.close()));
      await broker.close();
    },
    pendingTimers: () => clock.pendingTimers,
  };
}
