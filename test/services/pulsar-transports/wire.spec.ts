import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { WireTransport } from '@smartpulse/pulsar/wire';
import { runContract } from '@smartpulse/resilience/testing';
import { pulsarTransportContract } from '@smartpulse/pulsar/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { BrokerWorld, type TransportUnderTest, WORLD_ACTS } from './broker-world.js';

const parts = { clock: new SystemClock(), random: new SystemRandom() };
const runtime = await runtimeForTests();
let world: BrokerWorld;

const WIRE: TransportUnderTest = {
  make: ({ url, token, tls }, limits) => new WireTransport({ url, token, tls, ...limits }, parts),
  plain: (pulsar) => pulsar.serviceUrl,
  encrypted: (pulsar) => pulsar.tls.serviceUrl,
  resends: true,
};
const { capabilities } = WIRE.make(
  { url: 'pulsar://127.0.0.1' },
  { connectTimeoutMs: 1_000, operationTimeoutMs: 1_000 },
);

describe.runIf(runtime !== undefined)('on a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      world = await BrokerWorld.of(runtime, WIRE);
    }
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  runContract(
    { describe, it },
    'PulsarTransport: wire',
    pulsarTransportContract(() => world.fixture(), capabilities, WORLD_ACTS),
  );
});
