import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PulsarCluster, type ClusterBroker } from '../../../support/pulsar/cluster.js';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { greet } from './handshake.js';

const runtime = await runtimeForTests();

describe.runIf(runtime !== undefined)('a real Pulsar cluster of two brokers', () => {
  let cluster: PulsarCluster;
  const topics = Array.from({ length: 8 }, (_, index) => `public/default/topic-${index}`);

  beforeAll(async () => {
    if (runtime === undefined) {
      throw new Error('There is no runtime: the suite is skipped then');
    }
    cluster = await PulsarCluster.start(runtime);
  });
  afterAll(async () => {
    await cluster?.stop();
  });

  async function owners(asked?: ClusterBroker): Promise<readonly ClusterBroker[]> {
    return Promise.all(topics.map(async (topic) => cluster.ownerOf(topic, asked)));
  }

  it('has two healthy brokers that greet clients', async () => {
    for (const broker of cluster.brokers) {
      expect(await broker.admin.isHealthy()).toBe(true);
      expect(await greet(broker.serviceUrl)).toMatchObject({ command: 'connected' });
    }
  });

  it('answers the owner of a topic whichever broker is asked', async () => {
    for (const topic of topics) {
      await cluster.brokers[0].admin.createTopic(topic);
    }
    const [first, second] = cluster.brokers;
    expect(await owners(first)).toEqual(await owners(second));
  });

  it('moves a topic to the broker that is named', async () => {
    const [topic = ''] = topics;
    for (const target of [cluster.brokers[1], cluster.brokers[0], cluster.brokers[1]]) {
      if ((await cluster.ownerOf(topic)) !== target) {
        await cluster.move(topic, target);
      }
      await vi.waitFor(async () => expect(await cluster.ownerOf(topic)).toBe(target), { timeout: 20_000 });
    }
  });

  it('gives all topics of a killed broker to the other one, and takes it back', async () => {
    const [survivor, victim] = cluster.brokers;
    expect(await owners(survivor)).toContain(victim);
    await victim.kill();
    await vi.waitFor(async () => expect(new Set(await owners(survivor))).toEqual(new Set([survivor])), {
      timeout: 60_000,
      interval: 500,
    });
    await victim.restart();
    expect(await victim.admin.isHealthy()).toBe(true);
  });
});
