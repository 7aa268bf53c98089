import { VirtualClock } from '@smartpulse/resilience/testing';
import { runContract } from '@smartpulse/resilience/testing';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { NativeTransport } from '@smartpulse/pulsar/native';
import {
  fakeNativeModule,
  FaultInjectingTransport,
  IN_PROCESS_ACTS,
  inProcessFixture,
  pulsarTransportContract,
  type PulsarTransportFixture,
} from '@smartpulse/pulsar/testing';
import { describe, it } from 'vitest';

const NOWHERE = {
  url: 'pulsar://nowhere',
  token: undefined,
  tls: undefined,
  connectTimeoutMs: 1_000,
  operationTimeoutMs: 1_000,
};
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
// What we made of the official client, on a stand-in with its shapes, words and traps: the addon itself is put to the test where it loads.
runContract(
  { describe, it },
  'PulsarTransport: native on a stand-in for the official client',
  pulsarTransportContract(
    nativeFixture,
    new NativeTransport(NOWHERE, { clock: new VirtualClock() }).capabilities,
    IN_PROCESS_ACTS,
  ),
);

function nativeFixture(): PulsarTransportFixture {
  return inProcessFixture(
    (_transport, { broker, clock }) =>
      new NativeTransport(NOWHERE, { clock, load: async () => fakeNativeModule(broker) }),
  );
}
