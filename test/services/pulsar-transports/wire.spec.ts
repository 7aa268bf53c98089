import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { WireTransport } from '@smartpulse/pulsar/wire';
import { runContract } from '@smartpulse/resilience/testing';
import { brokerFixture, pulsarTransportContract } from '@smartpulse/pulsar/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { brokerControl, OPERATOR_ACTS } from './broker-control.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const clock = new SystemClock();
const random = new SystemRandom();
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

const wire = (url = 'pulsar://127.0.0.1'): WireTransport =>
  new WireTransport(
    { url, token: undefined, tls: undefined, connectTimeoutMs: 10_000, operationTimeoutMs: 10_000 },
    { clock, random },
  );

describe.runIf(runtime !== undefined)('on a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime, { deduplication: true });
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  runContract(
    { describe, it },
    'PulsarTransport: wire',
    pulsarTransportContract(
      () =>
        brokerFixture({ clock, random, create: () => wire(pulsar.serviceUrl), broker: brokerControl(pulsar.admin) }),
      wire().capabilities,
      OPERATOR_ACTS,
    ),
  );
});
