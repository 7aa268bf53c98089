import { Logger } from '@nestjs/common';
import type { PulsarTransport } from '@smartpulse/pulsar';
import { NativeTransport } from '@smartpulse/pulsar/native';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { WireTransport } from '@smartpulse/pulsar/wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../support/fault-proxy/fault-proxy.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { brokerWorld } from '../../support/pulsar-faults/fault-world.js';
import { moduleFaults } from '../../support/pulsar-faults/module-faults.js';
import { missingAddon, WITHOUT_ADDON } from '../pulsar-transports/native-addon.js';

const parts = { clock: new SystemClock(), random: new SystemRandom() };
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

interface TransportUnderTest {
  readonly name: string;
  readonly url: () => string;
  readonly make: (url: string) => PulsarTransport;
}

const at = (url: string) => ({
  url,
  token: undefined,
  tls: undefined,
  connectTimeoutMs: 5_000,
  operationTimeoutMs: 60_000,
});
const transports: readonly TransportUnderTest[] = [
  { name: 'wire', url: () => pulsar.serviceUrl, make: (url) => new WireTransport(at(url), parts) },
  { name: 'websocket', url: () => pulsar.webSocketUrl, make: (url) => new WebSocketTransport(at(url), parts) },
  ...(missingAddon === undefined
    ? [{ name: 'native', url: () => pulsar.serviceUrl, make: (url: string) => new NativeTransport(at(url), parts) }]
    : []),
];

if (missingAddon !== undefined) {
  it.skip(WITHOUT_ADDON);
}

describe.runIf(runtime !== undefined)('every stored message is handled or given up, in the order of its key', () => {
  beforeAll(async () => {
    Logger.overrideLogger(false);
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
    Logger.overrideLogger(true);
  });

  describe.each(transports)('by $name', ({ url, make }) => {
    it.each(moduleFaults)('with $title', { timeout: 120_000 }, async ({ run }) => {
      await using proxy = await FaultProxy.before(url());
      let cuts = 0;
      const world = brokerWorld({
        connect: (place) => make(place === 'near' ? url() : proxy.url),
        cut: () => {
          cuts++;
          proxy.cut();
        },
        broker: pulsar,
      });
      try {
        await run(world);
        expect(proxy.accepted).toBeGreaterThan(cuts);
      } finally {
        await world.close();
      }
    });
  });
});
