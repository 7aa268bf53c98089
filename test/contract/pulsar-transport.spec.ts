import { VirtualClock } from '@smartpulse/resilience/testing';
import { runContract } from '@smartpulse/resilience/testing';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import {
  FaultInjectingTransport,
  IN_PROCESS_ACTS,
  inProcessFixture,
  pulsarTransportContract,
} from '@smartpulse/pulsar/testing';
import { describe, it } from 'vitest';

const { capabilities } = new InProcessTransport(new InProcessBroker({ clock: new VirtualClock() }));

runContract(
  { describe, it },
  'PulsarTransport: in-process',
  pulsarTransportContract(() => inProcessFixture(), capabilities, IN_PROCESS_ACTS),
);
// The twin that injects faults changes nothing as long as its plan is empty, apart from the order of unawaited sends.
runContract(
  { describe, it },
  'PulsarTransport: fault-injecting twin without faults',
  pulsarTransportContract(
    () => inProcessFixture((transport) => new FaultInjectingTransport(transport)),
    capabilities,
    IN_PROCESS_ACTS,
  ),
);
