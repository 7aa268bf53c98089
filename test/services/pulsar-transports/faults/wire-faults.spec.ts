import {
  type ClientEvent,
  MessageId,
  PulsarClient,
  type PulsarClientOptions,
  type ReceivedMessage,
} from '@smartpulse/pulsar-wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../../support/fault-proxy/fault-proxy.js';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../../support/pulsar/standalone.js';
import { Load } from './load.js';

const runtime = await runtimeForTests();
const clock = new SystemClock();
const random = new SystemRandom();
const PLAIN = 'public/plain';
const DEDUPLICATED = 'public/deduplicated';

/** Faults come faster here than they ever should; waiting for longer tests nothing more. */
const BACKOFF = { initialMs: 10, maxMs: 200 };

describe.runIf(runtime !== undefined)('the wire client while things fail', () => {
  let pulsar: PulsarStandalone;
  let proxy: FaultProxy;
  let direct: PulsarClient;
  let proxied: PulsarClient;
  let events: ClientEvent[];
  let topics = 0;

  const clientOf = (serviceUrl: string, options: Partial<PulsarClientOptions> = {}): PulsarClient =>
    new PulsarClient({ serviceUrl, clock, random, backoff: BACKOFF, ...options });
  const newTopic = (namespace = PLAIN): string => `${namespace}/faults-${topics++}`;
  const lost = (): number => events.filter(({ type }) => type === 'connection-lost').length;
  const resent = (): number =>
    events.reduce((sum, event) => sum + (event.type === 'producer-attached' ? event.resentFrames : 0), 0);

  beforeAll(async () => {
    if (runtime === undefined) {
      throw new Error('There is no runtime: the suite is skipped then');
    }
    pulsar = await PulsarStandalone.start(runtime);
    await pulsar.admin.createNamespace(PLAIN);
    await pulsar.admin.createNamespace(DEDUPLICATED);
    const answer = await pulsar.admin.request('POST', `/admin/v2/namespaces/${DEDUPLICATED}/deduplication`, true);
    expect(answer.status).toBe(204);
    proxy = await FaultProxy.before(pulsar.serviceUrl);
  });

  afterAll(async () => {
    await proxy?.close();
    await pulsar?.stop();
  });

  beforeEach(() => {
    events = [];
    direct = clientOf(pulsar.serviceUrl);
    proxied = clientOf(proxy.url, { onEvent: (event) => events.push(event) });
  });

  afterEach(async () => {
    proxy.calm();
    await proxied.close();
    await direct.close();
  });

  const modes = [
    { mode: 'without deduplication', namespace: PLAIN },
    { mode: 'with deduplication', namespace: DEDUPLICATED },
  ] as const;

  /** The whole promise; a deduplicated topic holds nothing twice. */
  async function expectKept(load: Load, namespace: string): Promise<void> {
    const { resolved, rejected } = await load.delivered();
    expect(rejected).toEqual([]);
    const { messages, duplicates } = await load.stored(direct);
    expect(messages - duplicates).toBe(resolved);
    if (namespace === DEDUPLICATED) {
      expect(duplicates).toBe(0);
    }
    await load.close();
  }

  describe.each(modes)('$mode', ({ namespace }) => {
    it('loses nothing when connections are cut with messages on their way in both directions', async () => {
      const load = await Load.begin({ sender: proxied, topic: newTopic(namespace) });
      const cutting = (async () => {
        for (let cut = 0; cut < 10; cut++) {
          await clock.sleep(150);
          load.send(300);
          await clock.sleep(cut);
          proxy.cut();
        }
      })();
      await load.during(cutting);

      await expectKept(load, namespace);
      expect(lost()).toBeGreaterThanOrEqual(10);
      expect(resent()).toBeGreaterThan(0);
    });

    it.each(['toServer', 'toClient'] as const)(
      'loses nothing when frames are cut in two at any byte, %s',
      async (direction) => {
        const load = await Load.begin({ sender: proxied, topic: newTopic(namespace), keys: 3 });
        let cuts = 0;
        for (let offset = 1; offset < 2_000; offset = offset < 16 ? offset + 1 : Math.ceil(offset * 1.6)) {
          // Once on connections that work, once while they are being made again.
          await load.delivered();
          await load.during(proxy.cutAfter(direction, offset), 9, 2);
          await load.during(proxy.cutAfter(direction, offset), 9, 2);
          cuts++;
        }

        await expectKept(load, namespace);
        expect(cuts).toBe(26);
        expect(lost()).toBeGreaterThanOrEqual(cuts);
      },
    );

    it.each([
      { silent: ['toServer', 'toClient'] as const, what: 'both ways' },
      { silent: ['toServer'] as const, what: 'towards the broker' },
      { silent: ['toClient'] as const, what: 'towards the client' },
    ])('finds out by keep-alive that a connection is dead $what', async ({ silent }) => {
      const keepAliveMs = 400;
      const client = clientOf(proxy.url, { keepAliveMs, onEvent: (event) => events.push(event) });
      const load = await Load.begin({ sender: client, topic: newTopic(namespace) });
      load.send(100);
      await load.delivered();
      proxy.silence(...silent);
      load.send(100);
      const startMs = clock.monotonic();

      await expectKept(load, namespace);
      expect(clock.monotonic() - startMs).toBeGreaterThan(keepAliveMs / 2);
      expect(lost()).toBeGreaterThan(0);
      await client.close();
    });

    it('comes through a broker that dies with 1,000 messages on their way and starts again', async () => {
      const load = await Load.begin({ sender: proxied, topic: newTopic(namespace) });
      load.send(500);
      await load.delivered();
      load.send(1_000);
      // So many that some are stored, some are on the way and some are not sent when it dies.
      await clock.sleep(2);
      expect(load.inFlight).toBeGreaterThan(500);
      await pulsar.kill();
      load.send(500);
      await pulsar.restart();

      await expectKept(load, namespace);
      expect(resent()).toBeGreaterThan(0);
    });

    it('follows a topic that is unloaded again and again under load', async () => {
      const topic = newTopic(namespace);
      const load = await Load.begin({ sender: proxied, topic });
      const unloading = (async () => {
        for (let time = 0; time < 8; time++) {
          await clock.sleep(200);
          await pulsar.admin.unloadTopic(topic);
        }
      })();
      await load.during(unloading);

      await expectKept(load, namespace);
      expect(lost()).toBe(0);
    });
  });

  it.each([
    { type: 'Key_Shared', consumers: 3 },
    { type: 'Failover', consumers: 1 },
  ] as const)(
    'loses nothing on four partitions with fewer permits, cuts and messages that are given back: $type',
    async ({ type, consumers }) => {
      const topic = newTopic();
      await pulsar.admin.createTopic(topic, 4);
      const load = await Load.begin({
        sender: proxied,
        topic,
        keys: 20,
        consumer: { type },
        consumers,
        permits: 2,
        nacks: (text) => Number(text.split('/')[1]) % 49 === 0,
      });
      const cutting = (async () => {
        for (let cut = 0; cut < 5; cut++) {
          await clock.sleep(150);
          load.send(100);
          await clock.sleep(cut);
          proxy.cut();
        }
      })();
      await load.during(cutting, 5);

      const { rejected, receivedAgain, resolved } = await load.delivered();
      expect(rejected).toEqual([]);
      expect(receivedAgain).toBeGreaterThan(resolved / 100);
      expect(lost()).toBeGreaterThanOrEqual(5);
      await load.close();
    },
  );

  it('reads and writes streams that come one byte at a time', async () => {
    proxy.split(1);
    const load = await Load.begin({ sender: proxied, topic: newTopic() });
    load.send(100);
    await load.delivered();
    proxy.split(3);
    load.send(100);

    await expectKept(load, PLAIN);
    expect(lost()).toBe(0);
  });

  it('reads a topic once and in order over cuts, from a place in it', async () => {
    const topic = newTopic();
    const producer = await direct.createProducer({ topic, batching: { maxMessages: 7 } });
    const sent = Array.from({ length: 2_000 }, (_, index) => producer.send({ payload: Buffer.from(`${index}`) }));
    await producer.close();
    const ids = await Promise.all(sent);
    const reader = await proxied.createReader({ topic, startMessageId: ids[99] ?? MessageId.earliest, queueSize: 50 });
    const read: number[] = [];
    while (await reader.hasNext()) {
      read.push(Number(Buffer.from((await reader.next()).payload).toString('utf8')));
      if (read.length % 400 === 0) {
        proxy.cut();
        // Waits while there is no connection, as hasNext() does, which asks the broker once the queue is empty.
        read.push(Number(Buffer.from((await reader.next()).payload).toString('utf8')));
        await clock.sleep(100);
      }
    }

    expect(read).toEqual(Array.from({ length: 1_900 }, (_, index) => 100 + index));
    expect(lost()).toBeGreaterThanOrEqual(4);
    await reader.close();
  });

  it('moves the cursor to the furthest of the cumulative acknowledgements of one turn', async () => {
    const topic = newTopic();
    const messages: ReceivedMessage[] = [];
    const all = new Promise<void>((resolve, reject) => {
      const consumer = direct.subscribe(
        { topic, subscription: 's', initialPosition: 'earliest' },
        {
          onMessage: (message) => {
            if (messages.push(message) === 5) {
              const acked = consumer.then(async (cursor) =>
                Promise.all(messages.slice(0, 4).map(({ id }) => cursor.ackCumulative(id))),
              );
              acked.then(() => resolve(), reject);
            }
          },
          onClosed: reject,
        },
      );
      consumer.then((cursor) => cursor.permit(10)).catch(reject);
    });
    const producer = await direct.createProducer({ topic, batching: { enabled: false } });
    await Promise.all(Array.from({ length: 5 }, (_, index) => producer.send({ payload: Buffer.from(`${index}`) })));
    await all;

    expect((await pulsar.admin.topicStats(topic)).subscriptions['s']?.msgBacklog).toBe(1);
    await producer.close();
  });

  it('registers a declared schema, refuses another one for good, and keeps it over a cut', async () => {
    const topic = newTopic();
    const definition = (field: string): string =>
      JSON.stringify({ type: 'record', name: 'Order', fields: [{ name: field, type: 'string' }] });
    const schema = { type: 'json', name: 'order', definition: definition('id') } as const;
    const producer = await proxied.createProducer({ topic, schema });
    await expect(
      proxied.createProducer({ topic, schema: { ...schema, definition: definition('other') } }),
    ).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_BROKER_INCOMPATIBLE_SCHEMA', kind: 'permanent' });
    await producer.send({ payload: Buffer.from('{"id":"1"}') });
    proxy.cut();
    await producer.send({ payload: Buffer.from('{"id":"2"}') });
    const reader = await direct.createReader({ topic, startMessageId: MessageId.earliest });

    const versions = [await reader.next(), await reader.next()].map(({ schemaVersion }) => [...(schemaVersion ?? [])]);
    expect(versions).toEqual([
      [0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 0, 0],
    ]);
    await producer.close();
    await reader.close();
  });

  it('does its work over a slow network', async () => {
    proxy.slow(50);
    const load = await Load.begin({ sender: proxied, topic: newTopic() });
    load.send(500);

    await expectKept(load, PLAIN);
    expect(lost()).toBe(0);
  });

  it('creates 500 producers at once and brings them all back after a cut', async () => {
    const names = Array.from({ length: 10 }, () => newTopic());
    const producers = await Promise.all(
      Array.from({ length: 500 }, (_, index) => proxied.createProducer({ topic: names[index % 10] ?? '' })),
    );
    const sendAll = (): Promise<unknown> =>
      Promise.all(producers.map((producer, index) => producer.send({ payload: Buffer.from(`${index}`) })));
    await sendAll();
    proxy.cut();
    await sendAll();

    expect(new Set(producers.map(({ name }) => name)).size).toBe(500);
    expect(events.filter(({ type }) => type === 'producer-attached')).toHaveLength(1_000);
    // One for lookups and one for data, each made twice.
    expect(proxied.connections).toBeLessThanOrEqual(2);
    await Promise.all(producers.map((producer) => producer.close()));
  });

  it('serves 1,000 producers and 1,000 consumers on one connection, over a cut', async () => {
    const names = Array.from({ length: 10 }, () => newTopic());
    // Ten subscriptions of ten consumers on each topic: each message comes ten times in all.
    const received = new Map<string, number>();
    const onMessage = ({ payload, topic }: ReceivedMessage, subscription: string): void => {
      const text = `${topic} ${subscription} ${Buffer.from(payload).toString('utf8')}`;
      received.set(text, (received.get(text) ?? 0) + 1);
    };
    await Promise.all(
      names.flatMap((topic) =>
        Array.from({ length: 100 }, async (_, index) => {
          const subscription = `s-${index % 10}`;
          const consumer = await proxied.subscribe(
            { topic, subscription, type: 'Shared', initialPosition: 'earliest' },
            {
              onMessage: (message) => {
                onMessage(message, subscription);
                void consumer.ack(message.id);
                consumer.permit(1);
              },
              onClosed: (error) => expect.unreachable(String(error)),
            },
          );
          consumer.permit(50);
        }),
      ),
    );
    const producers = await Promise.all(
      names.flatMap((topic) =>
        Array.from({ length: 100 }, () => proxied.createProducer({ topic, batching: { maxDelayMs: 1 } })),
      ),
    );
    const round = async (name: string): Promise<void> => {
      await Promise.all(
        producers.map((producer, index) => producer.send({ payload: Buffer.from(`${name}-${index}`) })),
      );
    };
    await round('first');
    proxy.cut();
    await round('second');
    while (received.size < 20_000) {
      await clock.sleep(20);
    }

    expect(received.size).toBe(20_000);
    expect(proxied.connections).toBeLessThanOrEqual(2);
    expect(proxy.accepted).toBeGreaterThan(0);
  });
});

describe.runIf(runtime !== undefined)('the wire client whose token expires', () => {
  let pulsar: PulsarStandalone;
  const LIFETIME_SECONDS = 3;

  beforeAll(async () => {
    if (runtime === undefined) {
      throw new Error('There is no runtime: the suite is skipped then');
    }
    pulsar = await PulsarStandalone.start(runtime, {
      authentication: true,
      properties: { authenticationRefreshCheckSeconds: '1' },
    });
  });

  afterAll(async () => {
    await pulsar?.stop();
  });

  it('stays connected by a token that is renewed', async () => {
    const events: ClientEvent[] = [];
    let asked = 0;
    const client = new PulsarClient({
      serviceUrl: pulsar.serviceUrl,
      clock,
      random,
      token: () => {
        asked++;
        return pulsar.token({ subject: 'admin', expiresInSeconds: LIFETIME_SECONDS });
      },
      onEvent: (event) => events.push(event),
    });
    const load = await Load.begin({ sender: client, topic: 'public/default/renewed' });
    const before = asked;
    await load.during(clock.sleep(2 * LIFETIME_SECONDS * 1_000), 10, 20);

    const { rejected } = await load.delivered();
    expect(rejected).toEqual([]);
    expect(asked).toBeGreaterThan(before + 1);
    expect(events.filter(({ type }) => type === 'connection-lost')).toEqual([]);
    await load.close();
    await client.close();
  });

  it('comes back as soon as there is a token that the broker accepts', async () => {
    const events: ClientEvent[] = [];
    const expiring = pulsar.token({ subject: 'admin', expiresInSeconds: LIFETIME_SECONDS });
    let token = expiring;
    const client = new PulsarClient({
      serviceUrl: pulsar.serviceUrl,
      clock,
      random,
      backoff: BACKOFF,
      token: () => token,
      onEvent: (event) => events.push(event),
    });
    const load = await Load.begin({ sender: client, topic: 'public/default/late' });
    const refused = async (): Promise<void> => {
      while (!events.some(({ type }) => type === 'attach-failed')) {
        await clock.sleep(20);
      }
    };
    await load.during(refused(), 10, 20);
    token = pulsar.token({ subject: 'admin' });
    load.send(100);

    const { rejected } = await load.delivered();
    expect(rejected).toEqual([]);
    await load.close();
    await client.close();
  });
});
