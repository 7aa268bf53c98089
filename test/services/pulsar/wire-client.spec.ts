import {
  type ConsumerListener,
  type ConsumerOptions,
  MessageId,
  type ProducerOptions,
  PulsarClient,
  type ReceivedMessage,
  type WireConsumer,
} from '@smartpulse/pulsar-wire';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

describe.runIf(runtime !== undefined)('the wire client on a real broker', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  suite();
});

function suite(): void {
  const clock = new SystemClock();
  const random = new SystemRandom();
  const run = random.id().replace(/[^A-Za-z0-9]/g, '');
  let topics = 0;
  let client: PulsarClient;

  beforeAll(() => {
    client = new PulsarClient({ serviceUrl: pulsar.serviceUrl, clock, random });
  });

  afterAll(() => client.close());

  const newTopic = (): string => `persistent://public/default/wire-${run}-${topics++}`;
  const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
  const textOf = ({ payload }: ReceivedMessage): string => Buffer.from(payload).toString('utf8');

  interface Receiver {
    readonly consumer: WireConsumer;
    readonly messages: ReceivedMessage[];
    readonly closed: Error[];
    /** Resolves when so many messages were received in all. */
    readonly until: (count: number) => Promise<void>;
  }

  async function receive(
    options: Omit<ConsumerOptions, 'subscription'> & { readonly subscription?: string },
    { permits = 1_000, refill = true, of = client }: { permits?: number; refill?: boolean; of?: PulsarClient } = {},
  ): Promise<Receiver> {
    const messages: ReceivedMessage[] = [];
    const closed: Error[] = [];
    let wake: (() => void) | undefined;
    const listener: ConsumerListener = {
      onMessage: (message) => {
        messages.push(message);
        wake?.();
        if (refill) {
          consumer.permit(1);
        }
      },
      onClosed: (error) => closed.push(error),
    };
    const consumer = await of.subscribe(
      { subscription: 's', type: 'Shared', initialPosition: 'earliest', payloads: 'copy', ...options },
      listener,
    );
    if (permits > 0) {
      consumer.permit(permits);
    }
    const until = async (count: number): Promise<void> => {
      while (messages.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    return { consumer, messages, closed, until };
  }

  async function publish(topic: string, texts: readonly string[], options: Partial<ProducerOptions> = {}) {
    const producer = await client.createProducer({ topic, ...options });
    const sent = texts.map((text) => producer.send({ payload: bytes(text) }));
    await producer.close();
    return Promise.all(sent);
  }

  const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `m-${index}`);

  async function admin(method: string, path: string): Promise<void> {
    const answer = await fetch(`${pulsar.adminUrl}/admin/v2/${path}`, { method });
    if (!answer.ok) {
      throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    }
  }

  async function cursorOf(topic: string, subscription: string): Promise<unknown> {
    const { text } = await pulsar.admin.request('GET', `/admin/v2/${adminPath(topic)}/internalStats`);
    const { cursors } = JSON.parse(text) as { readonly cursors: Readonly<Record<string, unknown>> };
    return cursors[subscription];
  }

  const adminPath = (topic: string): string => topic.replace('://', '/');

  it.each(['none', 'lz4', 'zlib', 'zstd', 'snappy'] as const)(
    'carries a message whole, compression %s',
    async (compression) => {
      const topic = newTopic();
      const producer = await client.createProducer({ topic, compression });
      const payload = bytes('größe 風 '.repeat(500));
      const sent = [
        producer.send({ payload, key: 'schlüssel', properties: { a: '1', ü: '風', empty: '' }, eventTimeMs: 1_234 }),
        producer.send({ payload, orderingKey: Buffer.from([1, 2, 255]) }),
        producer.send({ payload: new Uint8Array(0) }),
        producer.send({ payload: null, key: 'gone' }),
      ];
      await producer.close();
      const ids = await Promise.all(sent);
      const { messages, until } = await receive({ topic });
      await until(4);

      const byId = new Map(messages.map((message) => [String(message.id), message]));
      const [full, ordered, empty, gone] = ids.map((id) => byId.get(String(id)));
      expect(full).toMatchObject({
        key: 'schlüssel',
        properties: { a: '1', ü: '風', empty: '' },
        eventTimeMs: 1_234,
        topic,
      });
      expect(Buffer.from(full?.payload ?? []).equals(payload)).toBe(true);
      expect([...(ordered?.orderingKey ?? [])]).toEqual([1, 2, 255]);
      expect([empty?.payload.length, empty?.isTombstone, gone?.isTombstone, gone?.key]).toEqual([
        0,
        false,
        true,
        'gone',
      ]);
    },
  );

  it('carries 20,000 messages in order and acknowledges them all', async () => {
    const topic = newTopic();
    const texts = numbered(20_000);
    const [, receiver] = await Promise.all([
      publish(topic, texts, { maxPendingMessages: 5_000, batching: { maxDelayMs: 1 } }),
      receive({ topic, type: 'Exclusive' }),
    ]);
    await receiver.until(texts.length);

    expect(receiver.messages.map(textOf)).toEqual(texts);
    await Promise.all(receiver.messages.map(({ id }) => receiver.consumer.ack(id)));
    await receiver.consumer.close();
    const again = await receive({ topic, type: 'Exclusive' });
    await publish(topic, ['last']);
    await again.until(1);
    expect(again.messages.map(textOf)).toEqual(['last']);
  });

  it('brings back the items of a batch that were not acknowledged, and only those', async () => {
    const topic = newTopic();
    await publish(topic, numbered(10));
    const first = await receive({ topic });
    await first.until(10);
    await Promise.all(
      [0, 2, 4, 6, 8].flatMap((index) => first.messages[index]?.id ?? []).map((id) => first.consumer.ack(id)),
    );
    await first.consumer.close();

    const second = await receive({ topic });
    await second.until(5);

    expect(second.messages.map(textOf)).toEqual(['m-1', 'm-3', 'm-5', 'm-7', 'm-9']);
  });

  it('brings back a message that was given back, with its count', async () => {
    const topic = newTopic();
    await publish(topic, numbered(3));
    const { consumer, messages, until } = await receive({ topic });
    await until(3);
    const second = messages[1];
    if (second === undefined) {
      throw new Error('there is no second message');
    }
    const startMs = clock.monotonic();
    consumer.nack(second.id, 300);
    await until(4);

    expect(clock.monotonic() - startMs).toBeGreaterThanOrEqual(300);
    expect(messages.slice(3).map((message) => [textOf(message), message.redeliveryCount])).toEqual([['m-1', 1]]);
  });

  it('gives everything back in order on an exclusive subscription', async () => {
    const topic = newTopic();
    await publish(topic, numbered(5), { batching: { enabled: false } });
    const { consumer, messages, until } = await receive({ topic, type: 'Exclusive' });
    await until(5);
    await consumer.ackCumulative(messages[1]?.id ?? expect.unreachable());
    consumer.nack(messages[2]?.id ?? expect.unreachable());
    await until(8);

    expect(messages.map(textOf)).toEqual([...numbered(5), 'm-2', 'm-3', 'm-4']);
  });

  it('receives no more than it permits', async () => {
    const topic = newTopic();
    await publish(topic, numbered(50));
    const { consumer, messages, until } = await receive({ topic }, { permits: 5, refill: false });
    await until(5);
    consumer.permit(20);
    await until(25);
    await clock.sleep(200);

    expect(messages).toHaveLength(25);
  });

  it('delays a message, beside others that come at once', async () => {
    const topic = newTopic();
    const { messages, until } = await receive({ topic });
    const producer = await client.createProducer({ topic, batching: { maxDelayMs: 0 } });
    await producer.send({ payload: bytes('later'), deliverAtMs: clock.now() + 2_500 });
    await producer.send({ payload: bytes('now') });
    const startMs = clock.monotonic();
    await until(2);

    expect(messages.map(textOf)).toEqual(['now', 'later']);
    expect(clock.monotonic() - startMs).toBeGreaterThan(1_000);
    await producer.close();
  });

  it('keeps the keys of a Key_Shared subscription apart, and the order of each', async () => {
    const topic = newTopic();
    const receivers = await Promise.all([
      receive({ topic, type: 'Key_Shared' }),
      receive({ topic, type: 'Key_Shared' }),
    ]);
    const producer = await client.createProducer({ topic });
    const sent = Array.from({ length: 400 }, (_, index) =>
      producer.send({ payload: bytes(`${index}`), key: `key-${index % 20}` }),
    );
    await producer.close();
    await Promise.all(sent);
    while (receivers[0].messages.length + receivers[1].messages.length < 400) {
      await clock.sleep(10);
    }

    const [keys, others] = receivers.map(({ messages }) => new Set(messages.map(({ key }) => key)));
    expect([...(keys ?? [])].filter((key) => others?.has(key))).toEqual([]);
    expect([keys?.size, others?.size]).not.toContain(0);
    for (const { messages } of receivers) {
      const last = new Map<string | undefined, number>();
      for (const message of messages) {
        const order = Number(textOf(message));
        expect(order).toBeGreaterThan(last.get(message.key) ?? -1);
        last.set(message.key, order);
      }
    }
  });

  it('seeks back and forth', async () => {
    const topic = newTopic();
    await publish(topic, numbered(5), { batching: { enabled: false } });
    const { consumer, messages, until, closed } = await receive({ topic, type: 'Exclusive' });
    await until(5);
    await Promise.all(messages.map(({ id }) => consumer.ack(id)));
    // Seen once in 150 on 4.2.4: a seek while the broker still makes the first ledger of the cursor is answered with success, and lost.
    await expect.poll(() => cursorOf(topic, 's'), { timeout: 20_000 }).toMatchObject({ state: 'Open' });
    await consumer.seek(MessageId.earliest);
    await until(10);
    await consumer.seek(messages[3]?.id ?? expect.unreachable());
    await until(12);

    expect(messages.slice(5).map(textOf).slice(0, 5)).toEqual(numbered(5));
    expect(messages.slice(10).map(textOf)[0]).toMatch(/^m-[34]$/);
    expect(closed).toEqual([]);
  });

  it('reads without a durable cursor, from a message on', async () => {
    const topic = newTopic();
    const ids = await publish(topic, numbered(6));
    const { messages, until } = await receive({ topic, type: 'Exclusive', durable: false, startMessageId: ids[2] });
    await until(3);

    expect(messages.map(textOf)).toEqual(['m-3', 'm-4', 'm-5']);
  });

  it('knows busy subscriptions, taken names and missing namespaces', async () => {
    const topic = newTopic();
    await receive({ topic, type: 'Exclusive' });
    await expect(receive({ topic, type: 'Exclusive' })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_BROKER_CONSUMER_BUSY',
    });
    await expect(receive({ topic, type: 'Shared' })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_BROKER_CONSUMER_BUSY',
    });
    const producer = await client.createProducer({ topic, producerName: 'me' });
    await expect(client.createProducer({ topic, producerName: 'me' })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_BROKER_PRODUCER_BUSY',
    });
    await expect(client.createProducer({ topic: 'public/nowhere/orders' })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_BROKER_TOPIC_NOT_FOUND',
    });
    await producer.close();
    await (await client.createProducer({ topic, producerName: 'me' })).close();
  });

  it('refuses what is too large, carries what just fits, and keeps the connection', async () => {
    const topic = newTopic();
    const producer = await client.createProducer({ topic });
    await expect(producer.send({ payload: new Uint8Array(5 * 1024 * 1024 + 1) })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_MESSAGE_TOO_LARGE',
    });
    const { messages, until } = await receive({ topic });
    await producer.send({ payload: new Uint8Array(5 * 1024 * 1024 - 200).fill(7) });
    await until(1);
    expect(messages[0]?.payload.length).toBe(5 * 1024 * 1024 - 200);
    await producer.close();
  });

  it('waits for an exclusive topic until its producer leaves', async () => {
    const topic = newTopic();
    const first = await client.createProducer({ topic, accessMode: 'exclusive' });
    await expect(client.createProducer({ topic, accessMode: 'exclusive' })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_BROKER_PRODUCER_FENCED',
    });
    let isReady = false;
    const second = client.createProducer({ topic, accessMode: 'waitForExclusive' }).then((producer) => {
      isReady = true;
      return producer;
    });
    await clock.sleep(200);
    expect(isReady).toBe(false);
    await first.close();
    const producer = await second;
    await producer.send({ payload: bytes('mine') });
    await producer.close();
  });

  describe('through a network that fails', () => {
    let proxy: FaultProxy;
    let proxied: PulsarClient;

    beforeAll(async () => {
      proxy = await FaultProxy.before(pulsar.serviceUrl);
      proxied = new PulsarClient({ serviceUrl: proxy.url, clock, random, keepAliveMs: 1_000 });
    });

    afterAll(async () => {
      await proxied.close();
      await proxy.close();
    });

    it('loses nothing when connections are cut in the middle of everything', async () => {
      const topic = newTopic();
      const receiver = await receive({ topic, type: 'Exclusive' }, { of: proxied });
      const producer = await proxied.createProducer({
        topic,
        batching: { maxDelayMs: 1, maxMessages: 20 },
        maxPendingMessages: 1_000,
      });
      const texts = numbered(6_000);
      const sending = (async () => {
        const sent: Promise<unknown>[] = [];
        for (const [index, text] of texts.entries()) {
          sent.push(producer.send({ payload: bytes(text) }));
          if (index % 100 === 99) {
            await clock.sleep(2);
          }
        }
        await Promise.all(sent);
      })();
      for (let cut = 0; cut < 5; cut++) {
        await clock.sleep(40);
        proxy.cutAll();
      }
      await sending;
      const seen = new Set<string>();
      while (seen.size < texts.length) {
        await clock.sleep(20);
        receiver.messages.forEach((message) => seen.add(textOf(message)));
      }

      // The first time that each came keeps the order in which it was sent.
      expect([...seen]).toEqual(texts);
      expect(receiver.closed).toEqual([]);
      await producer.close();
    });

    it('reads a stream that comes byte by byte', async () => {
      proxy.chunkBytes = 1;
      const topic = newTopic();
      const { messages, until } = await receive({ topic }, { of: proxied });
      const producer = await proxied.createProducer({ topic });
      const sent = numbered(20).map((text) => producer.send({ payload: bytes(text) }));
      await producer.close();
      await Promise.all(sent);
      await until(20);
      proxy.chunkBytes = 0;

      expect(messages.map(textOf)).toEqual(numbered(20));
    });

    it('notices that the other side is gone although the connection stands', async () => {
      const topic = newTopic();
      const producer = await proxied.createProducer({ topic, batching: { maxDelayMs: 0 } });
      proxy.swallowAll();
      await producer.send({ payload: bytes('after the silence') });
      await producer.close();
    });
  });

  describe('with an administrator', () => {
    it('comes through the unloading of its topic under load without a loss', async () => {
      const topic = newTopic();
      const receiver = await receive({ topic });
      const producer = await client.createProducer({ topic, batching: { maxDelayMs: 1 }, maxPendingMessages: 2_000 });
      const texts = numbered(3_000);
      const pending: Promise<unknown>[] = [];
      const sending = (async () => {
        for (const [index, text] of texts.entries()) {
          pending.push(producer.send({ payload: bytes(text) }));
          if (index % 20 === 19) {
            await clock.sleep(5);
          }
        }
      })();
      for (let time = 0; time < 2; time++) {
        await clock.sleep(200);
        await admin('PUT', `${adminPath(topic)}/unload`);
      }
      await sending;
      await Promise.all(pending);
      while (new Set(receiver.messages.map(textOf)).size < texts.length) {
        await clock.sleep(20);
      }
      expect(receiver.closed).toEqual([]);
      await producer.close();
    });

    it('tells of the end of a terminated topic', async () => {
      const topic = newTopic();
      const producer = await client.createProducer({ topic, batching: { maxDelayMs: 0 } });
      await producer.send({ payload: bytes('last') });
      let onEnd: (() => void) | undefined;
      const ended = new Promise<void>((resolve) => {
        onEnd = resolve;
      });
      const consumer = await client.subscribe(
        { topic, subscription: 's', initialPosition: 'earliest' },
        {
          onMessage: (message) => {
            void consumer.ack(message.id);
          },
          onClosed: () => {},
          onEndOfTopic: () => onEnd?.(),
        },
      );
      consumer.permit(10);
      await admin('POST', `${adminPath(topic)}/terminate`);
      const reason = { code: 'SMARTPULSE_WIRE_BROKER_TOPIC_TERMINATED_ERROR', kind: 'permanent' };
      const [refused] = await Promise.allSettled([producer.send({ payload: bytes('too late') })]);
      // The broker refuses the message, or the producer's return before the message is sent.
      expect([refused, { reason: refused.status === 'rejected' && refused.reason.cause }]).toContainEqual(
        expect.objectContaining({ reason: expect.objectContaining(reason) }),
      );
      await expect(producer.send({ payload: bytes('later still') })).rejects.toMatchObject({ cause: reason });
      await ended;
    });

    it('produces to and consumes from all partitions', async () => {
      const topic = newTopic();
      await fetch(`${pulsar.adminUrl}/admin/v2/${adminPath(topic)}/partitions`, {
        method: 'PUT',
        body: '4',
        headers: { 'content-type': 'application/json' },
      });
      const receiver = await receive({ topic });
      const producer = await client.createProducer({ topic, batching: { maxMessages: 10 } });
      const sent = numbered(400).map((text, index) =>
        producer.send(index % 2 === 0 ? { payload: bytes(text) } : { payload: bytes(text), key: `key-${index % 20}` }),
      );
      await producer.close();
      await Promise.all(sent);
      await receiver.until(400);

      expect(new Set(receiver.messages.map(textOf))).toEqual(new Set(numbered(400)));
      expect(new Set(receiver.messages.map(({ topic: partition }) => partition)).size).toBe(4);
      await Promise.all(receiver.messages.map(({ id }) => receiver.consumer.ack(id)));
    });
  });
}

/** A TCP proxy that cuts, swallows and splits. */
class FaultProxy {
  /** Pieces of so many bytes towards the client; 0 = as they come. */
  chunkBytes = 0;
  readonly #sockets = new Set<Socket>();
  readonly #swallowed = new WeakSet<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly port: number,
  ) {}

  static async before(url: string): Promise<FaultProxy> {
    const { hostname, port } = new URL(url.replace('pulsar:', 'http:'));
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const proxy = new FaultProxy(server, typeof address === 'object' && address !== null ? address.port : 0);
    server.on('connection', (client) => proxy.#relay(client, connect(Number(port), hostname)));
    return proxy;
  }

  get url(): string {
    return `pulsar://127.0.0.1:${this.port}`;
  }

  cutAll(): void {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
  }

  /** What is connected now goes silent in both directions. */
  swallowAll(): void {
    for (const socket of this.#sockets) {
      this.#swallowed.add(socket);
    }
  }

  close(): Promise<void> {
    this.cutAll();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  #relay(client: Socket, broker: Socket): void {
    for (const [from, to] of [
      [client, broker],
      [broker, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (chunk: Buffer) => {
        if (this.#swallowed.has(from)) {
          return;
        }
        const step = from === broker && this.chunkBytes > 0 ? this.chunkBytes : chunk.length;
        for (let at = 0; at < chunk.length; at += step) {
          to.write(chunk.subarray(at, at + step));
        }
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
