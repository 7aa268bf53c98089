import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { NativeTransport } from '@smartpulse/pulsar/native';
import { runContract } from '@smartpulse/resilience/testing';
import { pulsarTransportContract } from '@smartpulse/pulsar/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { missingAddon, WITHOUT_ADDON } from '../../support/pulsar/native-addon.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { BrokerWorld, type TransportUnderTest, WORLD_ACTS } from './broker-world.js';

const parts = { clock: new SystemClock(), random: new SystemRandom() };
const runtime = await runtimeForTests();
let world: BrokerWorld;

const NATIVE: TransportUnderTest = {
  make: ({ url, token, tls }, limits) => new NativeTransport({ url, token, tls, ...limits }, parts),
  plain: (pulsar) => pulsar.serviceUrl,
  encrypted: (pulsar) => pulsar.tls.serviceUrl,
  resends: true,
  // The official client tries again until its time is over, and does not tell why.
  notLetIn: 'SMARTPULSE_PULSAR_CONNECTION',
};
const { capabilities } = NATIVE.make(
  { url: 'pulsar://127.0.0.1' },
  { connectTimeoutMs: 1_000, operationTimeoutMs: 1_000 },
);

if (missingAddon === undefined) {
  describe.runIf(runtime !== undefined)('the native transport on a real broker', suite);
} else {
  it.skip(WITHOUT_ADDON);
}

function suite(): void {
  beforeAll(async () => {
    if (runtime !== undefined) {
      world = await BrokerWorld.of(runtime, NATIVE);
    }
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  runContract(
    { describe, it },
    'PulsarTransport: native',
    pulsarTransportContract(() => world.fixture(), capabilities, WORLD_ACTS),
  );
}
