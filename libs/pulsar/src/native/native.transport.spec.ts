import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { PulsarError, TransportUnavailableError } from '../pulsar.errors.js';
import { type FakeNativeLog, fakeNativeModule } from '../testing/native-client.fake.js';
import { consume, names, produce, text } from '../testing/transport-fixture.js';
import { nativeFailure } from './native.failures.js';
import { NativeTransport } from './native.transport.js';

const options = {
  url: 'pulsar://host',
  token: undefined,
  tls: undefined,
  connectTimeoutMs: 1_000,
  operationTimeoutMs: 1_000,
};

async function connected() {
  const clock = new VirtualClock();
  const log: FakeNativeLog = { calls: [], maxReceives: 0 };
  const broker = new InProcessBroker({ clock, random: new SeededRandom() });
  const transport = new NativeTransport(options, { clock, load: async () => fakeNativeModule(broker, log) });
  await transport.connect();
  return { clock, log, transport };
}

const topic = 'persistent://public/default/t';

describe('The native transport', () => {
  it('says how to get the official client, or what to use instead, where it cannot be loaded', async () => {
    const missing = new Error("Cannot find package 'pulsar-client'");
    const transport = new NativeTransport(options, { clock: new VirtualClock(), load: () => Promise.reject(missing) });
    const failure: unknown = await transport.connect().catch((error: unknown) => error);
    expect(failure).toSatisfy(TransportUnavailableError.is);
    expect(String(failure)).toMatch(/npm install pulsar-client.*transport: 'wire'/);
    expect((failure as Error).cause).toBe(missing);
  });

  it('flushes before it closes, producers before the client, since closing rejects what is pending', async () => {
    const { log, transport } = await connected();
    const producer = await produce(transport, topic, {
      batching: { enabled: true, maxMessages: 100, maxBytes: 1_000, maxDelayMs: 60_000 },
    });
    const sent = producer.send(text('x'));
    await transport.close();
    await sent;
    expect(log.calls.indexOf('flush')).toBeLessThan(log.calls.indexOf('close producer'));
    expect(log.calls.indexOf('close producer')).toBeLessThan(log.calls.indexOf('close client'));
  });

  it('keeps few receives on the way, however many messages are permitted', async () => {
    const { clock, log, transport } = await connected();
    const heard = await consume(transport, topic, { permits: 5_000 });
    const producer = await produce(transport, topic);
    await Promise.all(names(300).map((name) => producer.send(text(name))));
    await clock.until(() => heard.messages.length === 300);
    expect(log.maxReceives).toBe(10);
    await transport.close();
  });

  it('refuses what the client would leave out in silence', async () => {
    const { transport } = await connected();
    await expect(produce(transport, topic, { sendTimeoutMs: 0 })).rejects.toThrow('send without a time limit');
    await expect(produce(transport, topic, { compression: 'zlib' })).rejects.toThrow('compression by zlib');
    await expect(consume(transport, topic, { durable: false })).rejects.toThrow('not durable');
    const producer = await produce(transport, topic);
    await expect(producer.send({ payload: new Uint8Array(), tombstone: true })).rejects.toThrow('without a payload');
    await transport.close();
  });

  it.each([
    [{ key: 'a\0b' }, 'NUL'],
    [{ orderingKey: 'a\0b' }, 'NUL'],
    [{ properties: { 'a\0b': '1' } }, 'NUL'],
    [{ properties: { a: '1\0' } }, 'NUL'],
    [{ properties: { length: '3' } }, '"length"'],
    [{ properties: JSON.parse('{"__proto__":"x"}') as Record<string, string> }, '"__proto__"'],
  ])('refuses %j, which would arrive as something else', async (more, reason) => {
    const { transport } = await connected();
    const producer = await produce(transport, topic);
    await expect(producer.send(text('x', more))).rejects.toThrow(reason);
    expect(producer.pending).toBe(0);
    await transport.close();
  });
});

describe('The errors of the official client', () => {
  it.each([
    ['send', 'Failed to send message: TimeOut', 'SMARTPULSE_PULSAR_TIMEOUT', 'transient', true],
    ['connect', 'Failed to GetPartitionsForTopic: TimeOut', 'SMARTPULSE_PULSAR_CONNECTION', 'transient', false],
    ['createProducer', 'Failed to create producer: TimeOut', 'SMARTPULSE_PULSAR_TIMEOUT', 'transient', false],
    ['createProducer', 'Failed to create producer: ProducerBusy', 'SMARTPULSE_PULSAR_PRODUCER_BUSY', 'recreate', false],
    [
      'createProducer',
      'Failed to create producer: ResultProducerFenced',
      'SMARTPULSE_PULSAR_PRODUCER_FENCED',
      'recreate',
      false,
    ],
    [
      'createProducer',
      'Failed to create producer: TopicNotFound',
      'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND',
      'permanent',
      false,
    ],
    [
      'createProducer',
      'Failed to create producer: AuthorizationError',
      'SMARTPULSE_PULSAR_AUTHORIZATION',
      'permanent',
      false,
    ],
    ['createProducer', 'Failed to create producer: ConnectError', 'SMARTPULSE_PULSAR_CONNECTION', 'transient', false],
    ['subscribe', 'Failed to create consumer: ConsumerBusy', 'SMARTPULSE_PULSAR_CONSUMER_BUSY', 'permanent', false],
    ['send', 'Failed to send message: ProducerQueueIsFull', 'SMARTPULSE_PULSAR_BROKER', 'backpressure', false],
    ['send', 'Failed to send message: MessageTooBig', 'SMARTPULSE_PULSAR_MESSAGE_TOO_LARGE', 'permanent', false],
    ['send', 'Failed to send message: TopicTerminated', 'SMARTPULSE_PULSAR_TOPIC_TERMINATED', 'permanent', true],
    [
      'createProducer',
      'Failed to create producer: TopicTerminated',
      'SMARTPULSE_PULSAR_TOPIC_TERMINATED',
      'permanent',
      false,
    ],
    [
      'send',
      'Failed to send message: ProducerBlockedQuotaExceededException',
      'SMARTPULSE_PULSAR_BACKLOG_QUOTA',
      'backpressure',
      true,
    ],
    ['send', 'Failed to send message: IncompatibleSchema', 'SMARTPULSE_PULSAR_INCOMPATIBLE_SCHEMA', 'permanent', false],
    ['send', 'Failed to send message: AlreadyClosed', 'SMARTPULSE_PULSAR_CONNECTION', 'recreate', true],
    ['send', 'Failed to send message: ResultProducerFenced', 'SMARTPULSE_PULSAR_PRODUCER_FENCED', 'recreate', true],
    ['acknowledge', 'Failed to acknowledge id: AlreadyClosed', 'SMARTPULSE_PULSAR_CLOSED', 'recreate', false],
    ['acknowledge', 'Failed to acknowledge id: ServiceUnitNotReady', 'SMARTPULSE_PULSAR_BROKER', 'transient', false],
    [
      'acknowledge',
      'Failed to acknowledge cumulatively: ResultCumulativeAcknowledgementNotAllowedError',
      'SMARTPULSE_PULSAR_NOT_ALLOWED',
      'permanent',
      false,
    ],
  ] as const)('of "%s", %s, have a code and a kind', (action, message, code, kind, ambiguous) => {
    const cause = new Error(message);
    const failure = nativeFailure(action, cause, topic);
    expect(PulsarError.is(failure)).toBe(true);
    expect([failure.code, failure.kind, failure.ambiguous, failure.topic]).toEqual([code, kind, ambiguous, topic]);
  });
});
