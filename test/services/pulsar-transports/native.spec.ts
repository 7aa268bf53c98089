import { NativeTransport } from '@smartpulse/pulsar/native';
import { brokerFixture, pulsarTransportContract } from '@smartpulse/pulsar/testing';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { brokerControl, OPERATOR_ACTS } from './broker-control.js';

const clock = new SystemClock();
const random = new SystemRandom();
const runtime = await runtimeForTests();
const missing = await reasonWhyNot();
let pulsar: PulsarStandalone;

const native = (url = 'pulsar://127.0.0.1'): NativeTransport =>
  new NativeTransport(
    { url, token: undefined, tls: undefined, connectTimeoutMs: 10_000, operationTimeoutMs: 10_000 },
    { clock },
  );

if (missing === undefined) {
  describe.runIf(runtime !== undefined)('the native transport on a real broker', suite);
} else {
  // The addon is fetched from a place that not every machine reaches: it is nobody's to demand.
  it.skip(
    `the native transport is not checked: pulsar-client does not load here (${missing}); npm install --no-save pulsar-client brings it`,
  );
}

function suite(): void {
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
    'PulsarTransport: native',
    pulsarTransportContract(
      () =>
        brokerFixture({ clock, random, create: () => native(pulsar.serviceUrl), broker: brokerControl(pulsar.admin) }),
      native().capabilities,
      OPERATOR_ACTS,
    ),
  );
}

async function reasonWhyNot(): Promise<string | undefined> {
  const name = 'pulsar-client';
  try {
    await import(name);
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n', 1)[0] ?? error.name) : String(error);
  }
}
