import { NativeTransport } from '@smartpulse/pulsar/native';
import { brokerFixture, pulsarTransportContract } from '@smartpulse/pulsar/testing';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { brokerControl, OPERATOR_ACTS } from './broker-control.js';
import { missingAddon, WITHOUT_ADDON } from '../../support/pulsar/native-addon.js';

const clock = new SystemClock();
const random = new SystemRandom();
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

const native = (url = 'pulsar://127.0.0.1'): NativeTransport =>
  new NativeTransport(
    { url, token: undefined, tls: undefined, connectTimeoutMs: 10_000, operationTimeoutMs: 10_000 },
    { clock },
  );

if (missingAddon === undefined) {
  describe.runIf(runtime !== undefined)('the native transport on a real broker', suite);
} else {
  it.skip(WITHOUT_ADDON);
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
