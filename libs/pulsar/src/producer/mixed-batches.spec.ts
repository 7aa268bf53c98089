import { afterEach, describe, expect, it, vi } from 'vitest';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import { FaultInjectingTransport } from '../testing/fault-injecting.transport.js';
import { startApp, type TestApp, type TestAppParts } from '../testing/test-app.js';
import type { SubscriptionType, TransportCapabilities } from '../transport/pulsar.transport.js';
import { resolveOptions } from '../transport/resolve-options.js';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';

/** As by WebSocket: the broker's side puts batches together, whatever their keys. */
class MixingTransport extends FaultInjectingTransport {
  override get capabilities(): TransportCapabilities {
    return { ...super.capabilities, keyedBatching: false };
  }
}

function mixing(): MixingTransport {
  return new MixingTransport(
    new InProcessTransport(new InProcessBroker({ clock: new VirtualClock(), random: new SeededRandom() })),
  );
}

let opened: TestApp | undefined;
afterEach(async () => {
  await opened?.close();
  opened = undefined;
});

async function start(options: TestAppParts['options']): Promise<TestApp> {
  opened = await startApp({ options: options ?? {} });
  return opened;
}

const consumedAs = (app: TestApp, type: SubscriptionType, topic = 'orders'): Promise<unknown> =>
  app.consumers.register({ topic, subscription: 's', type }, () => undefined);

describe('batches of mixed keys', () => {
  it('are made where a topic is said to have them, and nowhere else', async () => {
    const { publisher, transport } = await start({
      producer: { batching: true, topics: { orders: { batchKeyed: 'mixed' } } },
    });
    const create = vi.spyOn(transport, 'createProducer');
    await publisher.publishMany('orders', [{ data: 1 }]);
    await publisher.publishMany('audit', [{ data: 1 }]);
    expect(create.mock.calls.map(([{ batching }]) => batching.keyed)).toEqual(['mixed', 'by-key']);
  });

  it('are refused beside a Key_Shared handler of their topic, which could not spread them', async () => {
    const app = await start({ producer: { batching: true, topics: { orders: { batchKeyed: 'mixed' } } } });
    await expect(consumedAs(app, 'Key_Shared')).rejects.toThrow(
      /"type": Key_Shared cannot spread batches of mixed keys.*expected batchKeyed: 'by-key' or batching: false for persistent:\/\/public\/default\/orders/s,
    );
    await consumedAs(app, 'Shared');
    await consumedAs(app, 'Key_Shared', 'audit');
  });

  it('are refused beside a Key_Shared handler of a pattern, where all topics have them and where one that matches does', async () => {
    const pattern = { topicsPattern: /orders-.+/, subscription: 's', type: 'Key_Shared' } as const;
    const all = await start({ producer: { batching: true, batchKeyed: 'mixed' } });
    await expect(all.consumers.registerPattern(pattern, () => undefined)).rejects.toThrow(/batches of mixed keys/);
    await all.close();
    const one = await start({ producer: { batching: true, topics: { 'orders-eu': { batchKeyed: 'mixed' } } } });
    await one.publisher.publishMany('orders-eu', [{ data: 1 }]);
    await expect(one.consumers.registerPattern(pattern, () => undefined)).rejects.toThrow(/batches of mixed keys/);
  });

  it('are nothing to a Key_Shared handler where its topic has no batches', async () => {
    const app = await start({
      producer: { batching: true, batchKeyed: 'mixed', topics: { orders: { batching: false } } },
    });
    await consumedAs(app, 'Key_Shared');
    await expect(consumedAs(app, 'Key_Shared', 'audit')).rejects.toThrow(/batches of mixed keys/);
  });

  it('are all that a transport has that cannot keep keys apart: none unless asked for, and none by key', async () => {
    const { producer } = resolveOptions('test', { url: 'ws://broker:8080', namespace: 'public/default' });
    expect(producer).toMatchObject({ batching: false, batchKeyed: 'mixed' });
    expect(resolveOptions('test', { url: 'memory://', transport: mixing() }).producer).toMatchObject({
      batching: false,
      batchKeyed: 'mixed',
    });
    expect(resolveOptions('test', { url: 'pulsar://broker:6650', namespace: 'public/default' }).producer).toMatchObject(
      {
        batching: true,
        batchKeyed: 'by-key',
      },
    );
    await expect(start({ transport: mixing(), producer: { batchKeyed: 'by-key' } })).rejects.toThrow(
      /"producer.batchKeyed": batches by key are not offered by the .* transport/,
    );
    await expect(
      start({ transport: mixing(), producer: { topics: { orders: { batchKeyed: 'by-key' } } } }),
    ).rejects.toThrow(/"producer.topics\["persistent:\/\/public\/default\/orders"\].batchKeyed"/);
    const app = await start({ transport: mixing(), producer: { batching: true } });
    await expect(consumedAs(app, 'Key_Shared')).rejects.toThrow(/batches of mixed keys/);
  });
});
