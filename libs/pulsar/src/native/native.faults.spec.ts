import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { PulsarError } from '../pulsar.errors.js';
import type { ConnectionOptions } from '../pulsar.options.js';
import { type FakeNativeLog, fakeNativeModule } from '../testing/native-client.fake.js';
import { consume, produce, text } from '../testing/transport-fixture.js';
import type {
  NativeClient,
  NativeClientOptions,
  NativeConsumer,
  NativeConsumerOptions,
  NativeModule,
  NativeOutgoing,
  NativeProducer,
  NativeProducerOptions,
} from './native.client.js';
import { NativeTransport } from './native.transport.js';

const TOPIC = 'persistent://public/default/t';
const OPTIONS: ConnectionOptions = {
  url: 'pulsar://host',
  token: undefined,
  tls: undefined,
  connectTimeoutMs: 1_000,
  operationTimeoutMs: 30_000,
};

/** What the stand-in does differently: each takes the place of the method of its name. */
interface Faults {
  readonly client?: Partial<NativeClient>;
  readonly producer?: Partial<NativeProducer>;
  readonly consumer?: Partial<NativeConsumer>;
}

function faulty(faults: Faults, options: ConnectionOptions = OPTIONS) {
  const clock = new VirtualClock();
  const log: FakeNativeLog = { calls: [], maxReceives: 0 };
  const produced: NativeProducerOptions[] = [];
  const tokens: (string | (() => string | Promise<string>))[] = [];
  const fake = fakeNativeModule(new InProcessBroker({ clock, random: new SeededRandom() }), log);
  class Client implements NativeClient {
    readonly #client: NativeClient;

    constructor(settings: NativeClientOptions) {
      this.#client = new fake.Client(settings);
      Object.assign(this, faults.client);
    }

    getPartitionsForTopic(topic: string): Promise<readonly string[]> {
      return this.#client.getPartitionsForTopic(topic);
    }

    async createProducer(of: NativeProducerOptions): Promise<NativeProducer> {
      produced.push(of);
      return Object.assign(await this.#client.createProducer(of), faults.producer);
    }

    async subscribe(of: NativeConsumerOptions): Promise<NativeConsumer> {
      return Object.assign(await this.#client.subscribe(of), faults.consumer);
    }

    close(): Promise<unknown> {
      return this.#client.close();
    }
  }
  class AuthenticationToken {
    constructor({ token }: { readonly token: string | (() => string | Promise<string>) }) {
      tokens.push(token);
    }
  }
  const module: NativeModule = { Client, AuthenticationToken };
  const transport = new NativeTransport(options, { clock, load: async () => module });
  return { clock, log, produced, tokens, transport };
}

const failing = (message: string) => () => Promise.reject(new Error(message));
const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('Connecting by the official client', () => {
  it('fails within connectTimeoutMs when no broker answers, however long the client would wait', async () => {
    const { clock, transport } = faulty({ client: { getPartitionsForTopic: () => new Promise(() => {}) } });
    const failed = outcome(transport.connect());
    await clock.advance(1_000);
    expect(await failed).toMatchObject({ code: 'SMARTPULSE_PULSAR_CONNECTION', kind: 'transient' });
    expect(clock.pendingTimers).toBe(0);
  });

  it.each(['AuthorizationError', 'TopicNotFound'])(
    'takes the answer %s for one: it is about a topic that nobody asked for',
    async (name) => {
      const { transport } = faulty({
        client: { getPartitionsForTopic: failing(`Failed to GetPartitionsForTopic: ${name}`) },
      });
      await transport.connect();
    },
  );

  it.each(['AuthenticationError', 'ConnectError', 'TimeOut'])('fails with %s', async (name) => {
    const { transport } = faulty({
      client: { getPartitionsForTopic: failing(`Failed to GetPartitionsForTopic: ${name}`) },
    });
    expect(await outcome(transport.connect())).toSatisfy(PulsarError.is);
  });

  it('never hands a rejection of the token supplier to the client, which would wait for ever, and tells the cause', async () => {
    const cause = new Error('the vault is closed');
    const { tokens, transport } = faulty(
      {
        client: {
          getPartitionsForTopic: async () => {
            const [supplier] = tokens;
            expect(typeof supplier === 'function' && (await supplier())).toBe('');
            throw new Error('Failed to GetPartitionsForTopic: AuthenticationError');
          },
        },
      },
      { ...OPTIONS, token: () => Promise.reject(cause) },
    );
    expect(await outcome(transport.connect())).toMatchObject({ code: 'SMARTPULSE_PULSAR_AUTHENTICATION', cause });
  });

  it('gives a token supplier up that does not answer, for which the client would wait with all of its connections', async () => {
    const { clock, tokens, transport } = faulty(
      {
        client: {
          getPartitionsForTopic: async () => {
            const [supplier] = tokens;
            expect(typeof supplier === 'function' && (await supplier())).toBe('');
            throw new Error('Failed to GetPartitionsForTopic: AuthenticationError');
          },
        },
      },
      { ...OPTIONS, token: () => new Promise(() => {}) },
    );
    const failed = outcome(transport.connect());
    await clock.advance(500);
    expect(await failed).toMatchObject({ code: 'SMARTPULSE_PULSAR_AUTHENTICATION' });
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuses a name that certificates must carry, which the client has no option for', () => {
    expect(() => faulty({}, { ...OPTIONS, url: 'pulsar+ssl://host', tls: { servername: 'other' } })).toThrow(
      'tls.servername',
    );
  });
});

describe('Closing the native transport', () => {
  it('closes producer and client also when the flush failed, and tells the failure', async () => {
    const { log, transport } = faulty({ producer: { flush: failing('Failed to flush producer: TimeOut') } });
    const producer = await produce(transport, TOPIC, {
      batching: { enabled: true, maxMessages: 100, maxBytes: 1_000, maxDelayMs: 60_000 },
    });
    const sent = outcome(producer.send(text('x')));
    expect(await outcome(transport.close())).toMatchObject({ code: 'SMARTPULSE_PULSAR_TIMEOUT' });
    expect(log.calls).toEqual(['close producer', 'close client']);
    await sent;
  });

  it('flushes and closes producers and client also when a consumer cannot be closed', async () => {
    const { log, transport } = faulty({ consumer: { close: failing('Failed to close consumer: TimeOut') } });
    await consume(transport, TOPIC);
    await produce(transport, TOPIC);
    expect(await outcome(transport.close())).toSatisfy(PulsarError.is);
    expect(log.calls).toEqual(expect.arrayContaining(['close producer', 'close client']));
  });

  it('leaves a consumer whose unsubscribe was refused as it was: it receives on and can be closed', async () => {
    const { clock, log, transport } = faulty({
      consumer: { unsubscribe: failing('Failed to unsubscribe consumer: UnknownError') },
    });
    const heard = await consume(transport, TOPIC);
    expect(await outcome(heard.consumer.unsubscribe())).toSatisfy(PulsarError.is);
    await (await produce(transport, TOPIC)).send(text('x'));
    await clock.until(() => heard.messages.length === 1);
    await heard.consumer.close();
    expect(log.calls).toContain('close consumer');
    await transport.close();
  });

  it('gives a consumer up whose listener throws, instead of a rejection that nobody hears', async () => {
    const { clock, log, transport } = faulty({});
    const closed: Error[] = [];
    const consumer = await transport.subscribe(
      { topic: TOPIC, subscription: 's', type: 'Shared', initialPosition: 'earliest', durable: true },
      {
        onMessage: () => {
          throw new Error('oops');
        },
        onClosed: (error) => closed.push(error),
      },
    );
    consumer.permit(1);
    await (await produce(transport, TOPIC)).send(text('x'));
    await clock.until(() => closed.length === 1);
    expect(log.calls).toContain('close consumer');
    await transport.close();
  });
});

describe('Producers of the native transport', () => {
  it('batches nothing where a batch is one message, at which the setter of the client throws', async () => {
    const { produced, transport } = faulty({});
    await produce(transport, TOPIC, { batching: { enabled: true, maxMessages: 1, maxBytes: 1_000, maxDelayMs: 1 } });
    expect(produced[0]).toMatchObject({ batchingEnabled: false, batchingMaxMessages: 2 });
  });

  it('batches by key, which Key_Shared needs, unless keys may be mixed', async () => {
    const { produced, transport } = faulty({});
    const batching = { enabled: true, maxMessages: 100, maxBytes: 1_000, maxDelayMs: 10 };
    await produce(transport, TOPIC, { batching });
    await produce(transport, TOPIC, { batching: { ...batching, keyed: 'by-key' } });
    await produce(transport, TOPIC, { batching: { ...batching, keyed: 'mixed' } });
    expect(produced.map(({ batchingType }) => batchingType)).toEqual([
      'KeyBasedBatching',
      'KeyBasedBatching',
      'DefaultBatching',
    ]);
  });

  it('lets no share of the window per partition reject what our own window admits', async () => {
    const { produced, transport } = faulty({});
    await produce(transport, TOPIC, { maxPendingMessages: 60_000 });
    const { maxPendingMessages = 0, maxPendingMessagesAcrossPartitions = 0 } = produced[0] ?? {};
    expect(maxPendingMessages).toBeGreaterThan(60_000);
    expect(maxPendingMessagesAcrossPartitions / 1_000).toBeGreaterThan(60_000);
  });

  it('refuses sequence ids that a number cannot tell apart', async () => {
    const sent: NativeOutgoing[] = [];
    const { transport } = faulty({
      producer: {
        send: async (message) => {
          sent.push(message);
          return { toString: () => 'id' };
        },
      },
    });
    const producer = await produce(transport, TOPIC, { producerName: 'relay' });
    await producer.send(text('a', { sequenceId: 9_007_199_254_740_991n }));
    expect(await outcome(producer.send(text('b', { sequenceId: 9_007_199_254_740_992n })))).toMatchObject({
      code: 'SMARTPULSE_PULSAR_UNSUPPORTED',
    });
    expect(sent.map(({ sequenceId }) => sequenceId)).toEqual([9_007_199_254_740_991]);
  });
});
