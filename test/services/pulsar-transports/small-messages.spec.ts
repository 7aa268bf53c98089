import type { PulsarTransport } from '@smartpulse/pulsar';
import { PulsarError } from '@smartpulse/pulsar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingAddon, WITHOUT_ADDON } from '../../support/pulsar/native-addon.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { transportsOn, transportTo } from '../../support/pulsar/transports.js';

const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

const transports = transportsOn(() => pulsar);

if (missingAddon !== undefined) {
  it.skip(WITHOUT_ADDON);
}

describe.runIf(runtime !== undefined)('on a real broker that takes small messages only', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime, { maxMessageBytes: 65_536 });
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  it.each(transports)('refuses a larger one and goes on with the others: $name', async ({ name, url }) => {
    const transport = transportTo(name, url());
    await transport.connect();
    const producer = await createProducer(transport);
    const error: unknown = await producer.send({ payload: new Uint8Array(100_000) }).catch((cause: unknown) => cause);
    expect(PulsarError.is(error) && [error.code, error.ambiguous]).toEqual([
      'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE',
      false,
    ]);
    await producer.send({ payload: new Uint8Array(60_000) });
    await transport.close();
  });
});

function createProducer(transport: PulsarTransport) {
  return transport.createProducer({
    topic: 'persistent://public/default/small',
    batching: { enabled: false, maxMessages: 1, maxBytes: 1_000, maxDelayMs: 0 },
    maxPendingMessages: 10,
    maxPendingBytes: 10_000_000,
    compression: 'none',
    sendTimeoutMs: 5_000,
  });
}
