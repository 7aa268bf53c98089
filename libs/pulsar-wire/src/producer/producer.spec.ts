import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PulsarClient } from '../client/pulsar-client.js';
import { readMessageMetadata } from '../protocol/metadata/metadata-codec.js';
import { clientOf, finish as finishWith } from '../testing/fake-broker.client.js';
import { FakeBroker, type FakeBrokerOptions } from '../testing/fake-broker.js';
import type { WireError } from '../pulsar-wire.errors.js';
import type { ProducerOptions, WireProducer } from './producer.options.js';

const TOPIC = 'persistent://public/default/orders';
const text = (value: string): Uint8Array => Buffer.from(value, 'utf8');

describe('a producer', () => {
  let clock: VirtualClock;
  let broker: FakeBroker;
  let client: PulsarClient;

  beforeEach(() => {
    clock = new VirtualClock();
  });

  afterEach(async () => {
    await finish(client.close());
    await clock.settle();
    expect(clock.pendingTimers).toBe(0);
    expect(broker.open).toEqual([]);
  });

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);

  async function create(
    options: Partial<ProducerOptions> = {},
    brokerOptions: FakeBrokerOptions = {},
    clientOptions = {},
  ): Promise<WireProducer> {
    broker = new FakeBroker(brokerOptions);
    client = clientOf(broker, { clock, random: new SeededRandom(1) }, clientOptions).client;
    return finish(client.createProducer({ topic: 'orders', ...options }));
  }

  const payloads = (): number[] => broker.topic(TOPIC).entries.map(({ messages }) => messages);

  it('puts the messages of one turn into one frame and answers an id for each', async () => {
    const producer = await create({ batching: { maxDelayMs: 0 } });

    const ids = await finish(Promise.all(['a', 'b', 'c'].map((value) => producer.send({ payload: text(value) }))));

    expect(ids.map(String)).toEqual(['7:0:-1:0', '7:0:-1:1', '7:0:-1:2']);
    expect(broker.all('send')).toMatchObject([{ sequenceId: 0n, highestSequenceId: 2n, numMessages: 3 }]);
    expect(producer.lastSequenceId).toBe(2n);
  });

  it('tells a listener of each of its messages once: stored, too large, withdrawn while it waits, left over at the end', async () => {
    const producer = await create({ maxPendingMessages: 1, batching: { enabled: false } });
    const told: string[] = [];
    const sendTo = (name: string, bytes = 1, signal?: AbortSignal): void => {
      const onFailed = ({ code }: WireError): void => void told.push(`${name} ${code}`);
      producer.sendTo({ onStored: () => told.push(name), onFailed }, { payload: new Uint8Array(bytes) }, signal);
    };
    const withdrawn = new AbortController();
    sendTo('first');
    sendTo('large', 6_000_000);
    sendTo('waits');
    sendTo('withdrawn', 1, withdrawn.signal);
    withdrawn.abort();
    expect(told).toEqual(['large SMARTPULSE_WIRE_MESSAGE_TOO_LARGE', 'withdrawn SMARTPULSE_WIRE_WAIT_ABORTED']);

    await finish(producer.close());
    sendTo('late');
    expect(told.slice(2)).toEqual(['first', 'waits', 'late SMARTPULSE_WIRE_CLOSED']);
  });

  it('leaves a message without bytes uncompressed: the official C++ client discards an entry of zlib that says it is empty', async () => {
    const producer = await create({ compression: 'zlib', batching: { enabled: false } });

    await finish(Promise.all(['', 'x'].map((value) => producer.send({ payload: text(value) }))));

    const metadata = broker
      .topic(TOPIC)
      .entries.map(({ stored }) => readMessageMetadata(stored.bytes, 4, 4 + stored.bytes.readUInt32BE(0)));
    expect(metadata.map(({ compression }) => compression ?? 0)).toEqual([0, 2]);
  });

  it('seals a batch at its count, at its bytes and when its time is over', async () => {
    const producer = await create({ batching: { maxMessages: 3, maxBytes: 100, maxDelayMs: 50 } });
    const sent: Promise<unknown>[] = [];
    for (let index = 0; index < 4; index++) {
      sent.push(producer.send({ payload: text('x') }));
    }
    await clock.settle();
    expect(payloads()).toEqual([3]);

    await clock.advance(49);
    expect(payloads()).toEqual([3]);
    await clock.advance(1);
    expect(payloads()).toEqual([3, 1]);

    sent.push(producer.send({ payload: new Uint8Array(60) }), producer.send({ payload: new Uint8Array(60) }));
    await clock.settle();
    expect(payloads()).toEqual([3, 1, 1]);
    await producer.flush();
    expect(payloads()).toEqual([3, 1, 1, 1]);
    await Promise.all(sent);
  });

  it('makes a batch for each key, with the key on the entry', async () => {
    const producer = await create();
    const sent = ['a', 'b', 'a', 'b', 'a'].map((key) => producer.send({ payload: text(key), key }));

    await finish(producer.flush());
    await Promise.all(sent);

    expect(broker.topic(TOPIC).entries.map(({ partitionKey, messages }) => [partitionKey, messages])).toEqual([
      ['a', 3],
      ['b', 2],
    ]);
    const [first, second] = broker.all('send');
    expect(second?.sequenceId).toBeGreaterThan(first?.highestSequenceId ?? 99n);
  });

  it('makes one batch of mixed keys where that is asked for, in the order of the calls, with the first key on the entry', async () => {
    const producer = await create({ batching: { keyed: 'mixed', maxMessages: 3 } });
    const keys = [undefined, 'b', 'a', 'c', 'a', undefined];
    const sent = keys.map((key, at) =>
      producer.send({ payload: text(`${at}`), ...(key === undefined ? {} : { key }) }),
    );

    const ids = await finish(Promise.all(sent));

    expect(ids.map(String)).toEqual([0, 1].flatMap((entry) => [0, 1, 2].map((index) => `7:${entry}:-1:${index}`)));
    expect(broker.topic(TOPIC).entries.map(({ partitionKey, messages }) => [partitionKey, messages])).toEqual([
      [undefined, 3],
      ['c', 3],
    ]);
  });

  it('sends a delayed message alone, behind what was accepted before it', async () => {
    const producer = await create();
    const sent = [
      producer.send({ payload: text('now') }),
      producer.send({ payload: text('later'), deliverAtMs: clock.now() + 1_000 }),
    ];

    await finish(Promise.all(sent));

    expect(broker.all('send').map(({ numMessages }) => numMessages)).toEqual([1, 1]);
    const entries = broker
      .topic(TOPIC)
      .entries.map(({ stored }) => readMessageMetadata(stored.bytes, 4, 4 + stored.bytes.readUInt32BE(0)));
    expect(entries.map(({ deliverAtTimeMs }) => deliverAtTimeMs)).toEqual([undefined, clock.now() + 1_000]);
    expect(entries.map(({ numMessagesInBatch }) => numMessagesInBatch)).toEqual([1, undefined]);
  });

  it('sends again what has no receipt, unchanged and in order, before anything new', async () => {
    const producer = await create({ batching: { enabled: false } });
    broker.script('send', () => true);
    const sent = ['a', 'b', 'c'].map((value) => producer.send({ payload: text(value) }));
    await clock.settle();
    expect(broker.all('send')).toHaveLength(3);

    broker.open.at(-1)?.cut();
    broker.unscript('send');
    sent.push(producer.send({ payload: text('d') }));
    await finish(Promise.all(sent));

    expect(broker.topic(TOPIC).entries.map(({ sequenceId }) => sequenceId)).toEqual([0n, 1n, 2n, 3n]);
    expect(broker.all('producer').map(({ epoch, producerName }) => [epoch, producerName])).toEqual([
      [0, undefined],
      [1, 'fake-0'],
    ]);
  });

  it('stores nothing twice with deduplication when only the receipts were lost', async () => {
    const producer = await create({ batching: { enabled: false }, producerName: 'relay' }, { deduplication: true });
    const first = broker.open.at(-1);
    broker.script('send', (connection, fields) => {
      connection.mute = true;
      if (fields.sequenceId === 2n) {
        broker.unscript('send');
        // All are stored, and the connection is gone before a receipt has left.
        queueMicrotask(() => connection.cut());
      }
      return false;
    });
    const sent = ['a', 'b', 'c'].map((value) => producer.send({ payload: text(value) }));

    const ids = await finish(Promise.all(sent));

    expect(first?.isOpen).toBe(false);
    expect(broker.topic(TOPIC).entries.map(({ sequenceId }) => sequenceId)).toEqual([0n, 1n, 2n]);
    expect(ids.map(String)).toEqual(['-1:-1:-1', '-1:-1:-1', '-1:-1:-1']);
  });

  it('comes back within the first delay every time when each connection did some work before it was lost', async () => {
    const producer = await create({}, {}, { backoff: { initialMs: 100, maxMs: 60_000 } });
    for (let cut = 0; cut < 12; cut++) {
      broker.open.at(-1)?.cut();
      const sent = producer.send({ payload: text(String(cut)) });
      await clock.advance(110);
      await expect(sent).resolves.toMatchObject({ entryId: BigInt(cut) });
    }
  });

  it('never puts a repeated sequence id into one batch with new ones', async () => {
    const producer = await create({ producerName: 'relay' }, { deduplication: true });
    await finish(Promise.all([5n, 6n].map((sequenceId) => sendAt(producer, sequenceId))));
    await finish(producer.close());

    const again = await finish(client.createProducer({ topic: 'orders', producerName: 'relay' }));
    expect(again.lastSequenceId).toBe(6n);
    const ids = await finish(Promise.all([6n, 7n, 8n].map((sequenceId) => sendAt(again, sequenceId))));

    expect(ids.map(({ ledgerId }) => ledgerId)).toEqual([-1n, 7n, 7n]);
    expect(payloads()).toEqual([2, 2]);
  });

  function sendAt(producer: WireProducer, sequenceId: bigint) {
    return producer.send({ payload: text(`${sequenceId}`), sequenceId });
  }

  it('waits at the limit of messages, lets a signal end the wait, and goes on in order', async () => {
    const producer = await create({ maxPendingMessages: 2, batching: { enabled: false } });
    broker.script('send', () => true);
    const controller = new AbortController();
    const sent = ['a', 'b', 'c'].map((value) => producer.send({ payload: text(value) }));
    const given = producer.send({ payload: text('up') }, controller.signal);
    const last = producer.send({ payload: text('e') });
    await clock.settle();
    expect(broker.all('send')).toHaveLength(2);
    expect(producer.pending).toBe(2);

    controller.abort(new Error('enough'));
    await expect(given).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_WAIT_ABORTED', ambiguous: false });

    broker.unscript('send');
    broker.open.at(-1)?.cut();
    await finish(Promise.all([...sent, last]));
    expect(broker.topic(TOPIC).entries).toHaveLength(4);
  });

  it('waits at the limit of bytes, and lets one message above it through alone', async () => {
    const producer = await create({ maxPendingBytes: 100, batching: { enabled: false } });
    broker.script('send', () => true);
    const sent = [200, 60, 60].map((size) => producer.send({ payload: new Uint8Array(size) }));
    await clock.settle();
    expect(broker.all('send')).toHaveLength(1);
    broker.all('send').forEach(({ producerId, sequenceId }) => {
      const messageId = { ledgerId: 7n, entryId: 0n, ackSet: new Int32Array(0) };
      broker.open[0]?.send('sendReceipt', { producerId, sequenceId, messageId });
    });
    await clock.settle();
    // It would fit, but not past the one before it.
    sent.push(producer.send({ payload: new Uint8Array(10) }));
    await clock.settle();
    expect(broker.all('send')).toHaveLength(2);
    broker.unscript('send');
    broker.open.at(-1)?.cut();
    await finish(Promise.all(sent));
  });

  it('puts together what is sent after a flush that has yet to be answered: nobody waits for that', async () => {
    const producer = await create({ batching: { maxDelayMs: 1_000 } });
    const first = producer.send({ payload: text('a') });
    const flushed = producer.flush();

    const later = ['b', 'c', 'd'].map((value) => producer.send({ payload: text(value) }));
    await flushed;
    expect(payloads()).toEqual([1]);
    await finish(Promise.all([first, ...later]));

    expect(payloads()).toEqual([1, 3]);
  });

  it('does not linger when the pending limit is reached', async () => {
    const producer = await create({ maxPendingMessages: 2, batching: { maxDelayMs: 1_000 } });

    const sent = ['a', 'b', 'c'].map((value) => producer.send({ payload: text(value) }));
    await clock.settle();

    expect(payloads()).toEqual([2]);
    await finish(Promise.all(sent));
  });

  it('rejects everything that waits when the oldest message times out, as ambiguous, and ignores the late receipt', async () => {
    const producer = await create({ sendTimeoutMs: 1_000, batching: { enabled: false } });
    let late: (() => void) | undefined;
    broker.script('send', (connection, { producerId, sequenceId }) => {
      late ??= () =>
        connection.send('sendReceipt', {
          producerId,
          sequenceId,
          messageId: { ledgerId: 7n, entryId: 42n, ackSet: new Int32Array(0) },
        });
      return true;
    });
    const first = producer.send({ payload: text('a') });
    await clock.advance(900);
    const second = producer.send({ payload: text('b') });
    const settled = Promise.allSettled([first, second]);
    await clock.advance(100);

    for (const result of await settled) {
      expect(result).toMatchObject({
        reason: { code: 'SMARTPULSE_WIRE_SEND_TIMEOUT', ambiguous: true, kind: 'transient' },
      });
    }
    expect(producer.pending).toBe(0);
    broker.unscript('send');
    const third = producer.send({ payload: text('c') });
    late?.();
    expect(String(await finish(third))).toBe('7:0:-1');
    expect(broker.topic(TOPIC).entries.map(({ sequenceId }) => sequenceId)).toEqual([2n]);
  });

  it('refuses a message above the limit of the broker before it is sent', async () => {
    const producer = await create({}, { maxMessageBytes: 1_000 });

    await expect(producer.send({ payload: new Uint8Array(1_001) })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_MESSAGE_TOO_LARGE',
      kind: 'permanent',
    });
    await finish(Promise.all([1, 2, 3].map(() => producer.send({ payload: new Uint8Array(600) }))));
    expect(payloads()).toEqual([1, 1, 1]);
    expect(broker.connections.every(({ isOpen }) => isOpen)).toBe(true);
  });

  it('sends everything again when a frame was damaged on the way', async () => {
    const producer = await create({ batching: { enabled: false } });
    let damaged = 0;
    broker.script('send', (connection, { producerId, sequenceId }) => {
      if (sequenceId === 1n && damaged++ === 0) {
        connection.send('sendError', { producerId, sequenceId, error: 9, message: 'Checksum failed on the broker' });
        return true;
      }
      return false;
    });

    await finish(Promise.all(['a', 'b', 'c'].map((value) => producer.send({ payload: text(value) }))));

    expect(broker.topic(TOPIC).entries.map(({ sequenceId }) => sequenceId)).toEqual([0n, 2n, 1n, 2n]);
    expect(broker.connections.every(({ isOpen }) => isOpen)).toBe(true);
  });

  it('attaches anew on a fault of the broker, without touching the connection of its neighbours', async () => {
    const producer = await create({ batching: { enabled: false } });
    let faults = 0;
    broker.script('send', (connection, { producerId, sequenceId }) => {
      if (faults++ > 0) {
        return false;
      }
      connection.send('sendError', { producerId, sequenceId, error: 2, message: 'ledger closed' });
      return true;
    });

    await finish(producer.send({ payload: text('a') }));

    expect(broker.all('producer')).toHaveLength(2);
    expect(broker.connections.every(({ isOpen }) => isOpen)).toBe(true);
  });

  it('attaches anew only when the broker has let go of the registration that was given up', async () => {
    const producer = await create({ batching: { enabled: false } });
    broker.script('send', (connection, { producerId, sequenceId }) => {
      broker.unscript('send');
      connection.send('sendError', { producerId, sequenceId, error: 2, message: 'ledger closed' });
      return true;
    });
    let answer = (): void => {};
    broker.script('closeProducer', (connection, { requestId }) => {
      broker.unscript('closeProducer');
      answer = () => connection.send('success', { requestId });
      return true;
    });
    const sent = producer.send({ payload: text('a') });
    await finish(clock.advance(2_000));
    expect(broker.all('closeProducer')).toHaveLength(1);
    expect(broker.all('producer')).toHaveLength(1);

    answer();
    await finish(sent);
    expect(broker.all('producer')).toHaveLength(2);
  });

  it('leaves a frame that was sent again as it is when the receipt of the first time comes late', async () => {
    const producer = await create({ batching: { enabled: false } });
    let sends = 0;
    broker.script('send', (connection, { producerId, sequenceId }) => {
      if (sends++ > 0) {
        return false;
      }
      connection.send('sendError', { producerId, sequenceId, error: 2, message: 'ledger closed' });
      return true;
    });
    broker.script('producer', (connection, { producerId }) => {
      // Comes while the frame waits for the end of the turn in which it is sent again.
      setImmediate(() => {
        const messageId = { ledgerId: 7n, entryId: 0n, ackSet: new Int32Array(0) };
        connection.send('sendReceipt', { producerId, sequenceId: 0n, messageId });
      });
      return false;
    });

    await finish(producer.send({ payload: text('a') }).then(() => producer.send({ payload: text('b') })));

    expect(broker.all('send').map(({ sequenceId }) => sequenceId)).toEqual([0n, 0n, 1n]);
  });

  it('fills the memory of a stored frame with the next one', async () => {
    const producer = await create({ batching: { maxDelayMs: 0 } });
    for (const value of ['a', 'b', 'c', 'd']) {
      await finish(producer.send({ payload: text(value) }));
    }

    expect(broker.topic(TOPIC).entries.map(({ stored }) => stored.bytes.toString('latin1').at(-1))).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('attaches anew when a receipt is missing in the row', async () => {
    const producer = await create({ batching: { enabled: false } });
    broker.script('send', (_connection, { sequenceId }) => sequenceId === 0n);
    const sent = ['a', 'b'].map((value) => producer.send({ payload: text(value) }));
    await clock.settle();
    broker.unscript('send');

    await finish(Promise.all(sent));

    expect(broker.all('producer')).toHaveLength(2);
    expect(broker.topic(TOPIC).entries.map(({ sequenceId }) => sequenceId)).toEqual([1n, 0n, 1n]);
  });

  it('comes back after its topic was unloaded, on the same connection, and loses nothing', async () => {
    const producer = await create({ batching: { maxDelayMs: 0 } });
    await finish(producer.send({ payload: text('a') }));

    broker.unload(TOPIC);
    const sent = producer.send({ payload: text('b') });
    await finish(sent);

    expect(broker.all('producer')).toHaveLength(2);
    expect(broker.connections).toHaveLength(1);
    expect(broker.all('lookup')).toHaveLength(2);
  });

  it('attaches once more when the broker takes the registration back in the same breath', async () => {
    broker = new FakeBroker();
    client = clientOf(broker, { clock, random: new SeededRandom(1) }).client;
    let given = 0;
    broker.script('producer', (connection, { requestId, producerId }) => {
      if (given++ > 0) {
        return false;
      }
      connection.send('producerSuccess', { requestId, producerName: 'me', lastSequenceId: -1n });
      connection.send('closeProducer', { producerId, requestId: -1 });
      return true;
    });
    const producer = await finish(client.createProducer({ topic: 'orders', batching: { maxDelayMs: 0 } }));

    await finish(producer.send({ payload: text('a') }));

    expect(given).toBe(2);
    expect(broker.connections).toHaveLength(1);
  });

  it('goes straight to the broker that the old one names', async () => {
    const producer = await create({ batching: { maxDelayMs: 0 } });

    broker.unload(TOPIC, 'pulsar://other:6650');
    await finish(producer.send({ payload: text('b') }));

    expect(broker.connections.map(({ address }) => address)).toEqual(['pulsar://broker:6650', 'pulsar://other:6650']);
    expect(broker.all('lookup')).toHaveLength(1);
  });

  it('is over when the topic is terminated', async () => {
    const producer = await create({ batching: { maxDelayMs: 0 } });
    broker.script('producer', (connection, { requestId }) => {
      connection.send('error', { requestId, error: 15, message: 'Topic was already terminated' });
      return true;
    });
    broker.script('send', () => true);
    const sent = producer.send({ payload: text('b') });
    await clock.settle();
    broker.unload(TOPIC);

    await expect(finish(sent)).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_BROKER_TOPIC_TERMINATED_ERROR',
      kind: 'permanent',
      ambiguous: true,
    });
    await expect(producer.send({ payload: text('c') })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_CLOSED',
      cause: { code: 'SMARTPULSE_WIRE_BROKER_TOPIC_TERMINATED_ERROR' },
    });
  });

  it.each([
    ['the right was taken away', 4, 'SMARTPULSE_WIRE_BROKER_AUTHORIZATION_ERROR'],
    ['the topic is gone', 11, 'SMARTPULSE_WIRE_BROKER_TOPIC_NOT_FOUND'],
    ['another one has the topic for itself', 25, 'SMARTPULSE_WIRE_BROKER_PRODUCER_FENCED'],
  ])('ends when %s: what was written is ambiguous, everything else was not sent', async (_why, error, code) => {
    const producer = await create({ batching: { enabled: false }, maxPendingMessages: 3 });
    broker.script('send', () => true);
    const written = producer.send({ payload: text('a') });
    await clock.settle();
    broker.script('producer', (connection, { requestId }) => {
      connection.send('error', { requestId, error, message: 'No.' });
      return true;
    });
    broker.open.at(-1)?.cut();
    await clock.settle();
    const unsent = ['b', 'c', 'waits for room'].map((value) => producer.send({ payload: text(value) }));
    const [first, ...others] = await finish(Promise.allSettled([written, ...unsent]));
    const late = await Promise.allSettled([producer.send({ payload: text('late') })]);

    expect(first).toMatchObject({ reason: { code, ambiguous: true } });
    const closed = { code: 'SMARTPULSE_WIRE_CLOSED', kind: 'recreate', ambiguous: false, cause: { code } };
    expect([...others, ...late]).toMatchObject([closed, closed, closed, closed].map((reason) => ({ reason })));
    expect(producer.pending).toBe(0);
    await finish(Promise.all([producer.flush(), producer.close()]));
  });

  it('reports a taken name at once, and waits for its own dying registration', async () => {
    const producer = await create({ producerName: 'me', batching: { maxDelayMs: 0 } });
    let refusals = 0;
    broker.script('producer', (connection, { requestId, epoch }) => {
      if (epoch === 0 || refusals++ < 2) {
        connection.send('error', { requestId, error: 16, message: 'Producer with name me is already connected' });
        return true;
      }
      return false;
    });
    const taken = client.createProducer({ topic: 'orders', producerName: 'me' });
    await expect(finish(taken)).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_BROKER_PRODUCER_BUSY',
      kind: 'recreate',
    });

    broker.open.at(-1)?.cut();
    await finish(producer.send({ payload: text('b') }));
    expect(refusals).toBe(3);
  });

  it('waits for an exclusive topic past the timeout of requests', async () => {
    broker = new FakeBroker();
    client = clientOf(broker, { clock, random: new SeededRandom(1) }).client;
    let grant: (() => void) | undefined;
    broker.script('producer', (connection, { requestId }) => {
      connection.send('producerSuccess', { requestId, producerName: 'me', producerReady: false });
      grant = () =>
        connection.send('producerSuccess', { requestId, producerName: 'me', lastSequenceId: -1n, topicEpoch: 3n });
      return true;
    });
    const creating = client.createProducer({ topic: 'orders', accessMode: 'waitForExclusive' });
    await clock.advance(120_000);
    grant?.();

    expect((await finish(creating)).name).toBe('me');
  });

  it('closes only after everything sent is stored, and refuses what comes later', async () => {
    const producer = await create({ batching: { maxDelayMs: 1_000 } });
    const sent = producer.send({ payload: text('a') });

    await finish(producer.close());

    await sent;
    await expect(producer.send({ payload: text('b') })).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_CLOSED' });
    expect(broker.all('closeProducer')).toHaveLength(1);
    await producer.close();
  });

  it('declares its schema whenever it attaches, and puts the version into its messages, batched or not', async () => {
    broker = new FakeBroker();
    client = clientOf(broker, { clock, random: new SeededRandom(1) }).client;
    const schema = { type: 'json', name: 'order', definition: '{"type":"record"}' } as const;
    const batched = await finish(client.createProducer({ topic: 'orders', schema, batching: { maxDelayMs: 0 } }));
    const single = await finish(client.createProducer({ topic: 'orders', schema, batching: { enabled: false } }));
    await finish(Promise.all([batched.send({ payload: text('a') }), single.send({ payload: text('b') })]));

    expect(broker.all('producer').map(({ schema: declared }) => declared)).toMatchObject([
      { type: 2, name: 'order' },
      { type: 2, name: 'order' },
    ]);
    const versions = broker
      .topic(TOPIC)
      .entries.map(
        ({ stored }) => readMessageMetadata(stored.bytes, 4, 4 + stored.bytes.readUInt32BE(0)).schemaVersion,
      );
    expect(versions.map((version) => [...(version ?? [])])).toEqual([
      [0, 0, 0, 0, 0, 0, 0, 3],
      [0, 0, 0, 0, 0, 0, 0, 3],
    ]);
    await expect(
      finish(client.createProducer({ topic: 'orders', schema: { ...schema, type: 'xml' as 'json' } })),
    ).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_INVALID_OPTION' });
  });

  it('leaves nothing at the broker when it is closed while it attaches again', async () => {
    const producer = await create();
    let answer: (() => void) | undefined;
    broker.script('producer', (connection, { requestId, producerName = '' }) => {
      answer = () => connection.send('producerSuccess', { requestId, producerName, lastSequenceId: -1n });
      return true;
    });
    broker.unload(TOPIC);
    await clock.advance(200);
    await clock.settle();
    await finish(producer.close());
    expect(broker.all('closeProducer')).toEqual([]);

    answer?.();
    await clock.settle();
    await clock.settle();

    expect(broker.all('closeProducer')).toHaveLength(1);
  });

  it('gives up closing after the operation timeout when there is no broker: ambiguous is only what was written', async () => {
    const producer = await create({ sendTimeoutMs: 0, batching: { maxDelayMs: 0 } });
    broker.script('send', () => true);
    const sent = [producer.send({ payload: text('a') })];
    await clock.settle();
    broker.down = true;
    broker.open.at(-1)?.cut();
    await clock.settle();
    sent.push(producer.send({ payload: text('b') }));
    const settled = Promise.allSettled(sent);

    await finish(producer.close());

    expect(await settled).toMatchObject([
      { reason: { code: 'SMARTPULSE_WIRE_CLOSED', ambiguous: true } },
      { reason: { code: 'SMARTPULSE_WIRE_CLOSED', ambiguous: false } },
    ]);
    await expect(producer.send({ payload: text('c') })).rejects.toMatchObject({ ambiguous: false });
  });

  it.each([
    ['gave no receipt before the operation timeout', 'sendTimeoutMs'],
    ['refused its message because the topic is terminated', 'terminated'],
  ])('frees its name at a broker that %s', async (_what, how) => {
    const producer = await create({ sendTimeoutMs: 0, batching: { enabled: false } });
    broker.script('send', (connection, { producerId, sequenceId }) => {
      if (how === 'terminated') {
        connection.send('sendError', { producerId, sequenceId, error: 15, message: 'Topic was already terminated' });
      }
      return true;
    });
    const sent = expect(producer.send({ payload: text('a') })).rejects.toBeInstanceOf(Error);

    await finish(producer.close());
    await sent;
    await clock.settle();
    await clock.settle();

    expect(broker.all('closeProducer').map(({ producerId }) => producerId)).toEqual(
      broker.all('producer').map(({ producerId }) => producerId),
    );
    expect(broker.open).toHaveLength(1);
  });

  it('keeps the messages of a key on one partition, as the Java client would', async () => {
    const partitions = { [TOPIC]: 4 };
    const producer = await create({ maxPendingMessages: 100 }, { partitions });
    const sent: Promise<unknown>[] = [];
    for (let index = 0; index < 40; index++) {
      sent.push(producer.send({ payload: text('x'), key: `key-${index % 8}` }));
    }
    await finish(producer.flush());
    await Promise.all(sent);

    const homes = new Map<string, Set<number>>();
    for (let partition = 0; partition < 4; partition++) {
      for (const { partitionKey } of broker.topic(`${TOPIC}-partition-${partition}`).entries) {
        homes.set(partitionKey ?? '', (homes.get(partitionKey ?? '') ?? new Set()).add(partition));
      }
    }
    expect(homes.size).toBe(8);
    expect([...homes.values()].every(({ size }) => size === 1)).toBe(true);
    // "key-0".hashCode() is 101943362.
    expect([...(homes.get('key-0') ?? [])]).toEqual([101_943_362 % 4]);
  });
});
