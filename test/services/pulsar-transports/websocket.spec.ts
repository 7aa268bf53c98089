import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { runContract } from '@smartpulse/resilience/testing';
import { pulsarTransportContract } from '@smartpulse/pulsar/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { BrokerWorld, type TransportUnderTest, WORLD_ACTS } from './broker-world.js';

const parts = { clock: new SystemClock(), random: new SystemRandom() };
const runtime = await runtimeForTests();
let world: BrokerWorld;

const WEBSOCKET: TransportUnderTest = {
  make: ({ url, token, tls }, limits) => new WebSocketTransport({ url, token, tls, ...limits }, parts),
  plain: (pulsar) => pulsar.webSocketUrl,
  encrypted: (pulsar) => pulsar.tls.webSocketUrl,
  deduplication: false,
};
const { capabilities } = WEBSOCKET.make(
  { url: 'ws://127.0.0.1' },
  { connectTimeoutMs: 1_000, operationTimeoutMs: 1_000 },
);

describe.runIf(runtime !== undefined)('on a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      world = await BrokerWorld.of(runtime, WEBSOCKET);
    }
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  runContract(
    { describe, it },
    'PulsarTransport: websocket',
    pulsarTransportContract(() => world.fixture(), capabilities, WORLD_ACTS),
  );
});
