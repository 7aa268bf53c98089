import { type ClientEvent, PulsarClient } from '@smartpulse/pulsar-wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PulsarCluster, type ClusterBroker } from '../../../support/pulsar/cluster.js';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { Load } from './load.js';

const runtime = await runtimeForTests();
const clock = new SystemClock();
const random = new SystemRandom();
const NAMESPACE = 'public/faults';
const DEDUPLICATED = 'public/faults-deduplicated';

describe.runIf(runtime !== undefined)('the wire client on a cluster of two brokers', () => {
  let cluster: PulsarCluster;

  beforeAll(async () => {
    if (runtime === undefined) {
      throw new Error('There is no runtime: the suite is skipped then');
    }
    cluster = await PulsarCluster.start(runtime);
    const { admin } = cluster.brokers[0];
    await admin.createNamespace(NAMESPACE);
    await admin.createNamespace(DEDUPLICATED);
    await admin.request('POST', `/admin/v2/namespaces/${DEDUPLICATED}/deduplication`, true);
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  function clientOf(serviceUrl: string): { readonly client: PulsarClient; readonly events: readonly ClientEvent[] } {
    const events: ClientEvent[] = [];
    const client = new PulsarClient({
      serviceUrl,
      clock,
      random,
      backoff: { initialMs: 20, maxMs: 500 },
      onEvent: (event) => events.push(event),
    });
    return { client, events };
  }

  /** A topic that the broker owns; its bundle is moved there when need be. */
  async function topicOf(owner: ClusterBroker, topic: string): Promise<string> {
    await owner.admin.createTopic(topic);
    if ((await cluster.ownerOf(topic)) !== owner) {
      await cluster.move(topic, owner);
    }
    await vi.waitFor(async () => expect(await cluster.ownerOf(topic)).toBe(owner), { timeout: 20_000 });
    return topic;
  }

  async function expectKept(load: Load, topic: string): Promise<void> {
    const { resolved, rejected } = await load.delivered();
    expect(rejected).toEqual([]);
    const auditor = clientOf(cluster.serviceUrl).client;
    const { messages, duplicates } = await load.stored(auditor);
    expect(messages - duplicates).toBe(resolved);
    if (topic.startsWith(DEDUPLICATED)) {
      expect(duplicates).toBe(0);
    }
    await load.close();
    await auditor.close();
  }

  it('finds the owner of a topic whichever broker it asks', async () => {
    const [first, second] = cluster.brokers;
    const topics = [await topicOf(first, `${NAMESPACE}/lookup-1`), await topicOf(second, `${NAMESPACE}/lookup-2`)];
    for (const asked of cluster.brokers) {
      const { client, events } = clientOf(asked.serviceUrl);
      for (const topic of topics) {
        const load = await Load.begin({ sender: client, topic, producer: { producerName: `asks-${asked.id}` } });
        load.send(200);
        await load.delivered();
        await load.close();
      }
      expect(events.filter(({ type }) => type === 'attach-failed')).toEqual([]);
      await client.close();
    }
  });

  it.each([NAMESPACE, DEDUPLICATED])(
    'follows a bundle that is moved to and fro under load, in %s',
    async (namespace) => {
      const [first, second] = cluster.brokers;
      const topic = await topicOf(first, `${namespace}/moved`);
      const { client, events } = clientOf(cluster.serviceUrl);
      const load = await Load.begin({ sender: client, topic });
      const moving = (async () => {
        for (const target of [second, first, second]) {
          await clock.sleep(300);
          await cluster.move(topic, target);
          await vi.waitFor(async () => expect(await cluster.ownerOf(topic)).toBe(target), { timeout: 20_000 });
        }
      })();
      await load.during(moving);

      await expectKept(load, topic);
      expect(events.filter(({ type }) => type === 'producer-detached').length).toBeGreaterThanOrEqual(3);
      await client.close();
    },
  );

  // The last one: the broker does not come back.
  it('goes on with the other broker when one is killed for good under load', async () => {
    const [survivor, victim] = cluster.brokers;
    const { client, events } = clientOf(cluster.serviceUrl);
    const topics = [await topicOf(victim, `${NAMESPACE}/orphan`), await topicOf(victim, `${DEDUPLICATED}/orphan`)];
    const loads = await Promise.all(topics.map((topic) => Load.begin({ sender: client, topic })));
    const killing = (async () => {
      await clock.sleep(300);
      loads.forEach((load) => load.send(500));
      await victim.kill();
      await clock.sleep(300);
    })();
    await Promise.all(loads.map((load) => load.during(killing)));

    for (const [index, load] of loads.entries()) {
      await expectKept(load, topics[index] ?? '');
      expect(await cluster.ownerOf(topics[index] ?? '', survivor)).toBe(survivor);
    }
    expect(events.some(({ type }) => type === 'connection-lost')).toBe(true);
    await client.close();
  });
});
