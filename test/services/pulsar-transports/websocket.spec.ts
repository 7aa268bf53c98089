import { brokerFixture, pulsarTransportContract } from '@smartpulse/pulsar/testing';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { brokerControl, OPERATOR_ACTS } from './broker-control.js';

const clock = new SystemClock();
const random = new SystemRandom();
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

const transport = (url = 'ws://127.0.0.1'): WebSocketTransport =>
  new WebSocketTransport(
    { url, token: undefined, tls: undefined, connectTimeoutMs: 10_000, operationTimeoutMs: 10_000 },
    { clock, random },
  );

describe.runIf(runtime !== undefined)('on a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  runContract(
    { describe, it },
    'PulsarTransport: websocket',
    pulsarTransportContract(
      () =>
        brokerFixture({
          clock,
          random,
          create: () => transport(pulsar.webSocketUrl),
          broker: brokerControl(pulsar.admin),
        }),
      transport().capabilities,
      OPERATOR_ACTS,
    ),
  );
});
