import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ClientEvent } from '../client/client.options.js';
import type { PulsarClient } from '../client/pulsar-client.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import { clientOf, finish as finishWith } from '../testing/fake-broker.client.js';
import { FakeBroker, type FakeBrokerOptions } from '../testing/fake-broker.js';
import { messageFrame } from '../testing/message-frame.js';
import type { ConsumerListener, ConsumerOptions, WireConsumer } from './consumer.options.js';
import type { ReceivedMessage } from './received-message.js';

const TOPIC = 'persistent://public/default/orders';

describe('a consumer', () => {
  let clock: VirtualClock;
  let broker: FakeBroker;
  let client: PulsarClient;
  let events: readonly ClientEvent[];
  let messages: ReceivedMessage[];
  let closed: Error[];

  beforeEach(() => {
    clock = new VirtualClock();
    messages = [];
    closed = [];
  });

  afterEach(async () => {
    await finish(client.close());
    await clock.settle();
    expect(clock.pendingTimers).toBe(0);
    expect(broker.open).toEqual([]);
  });

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);
  const texts = (): string[] => messages.map(({ payload }) => Buffer.from(payload).toString('utf8'));
  const ids = (): string[] => messages.map(({ id }) => String(id));

  async function subscribe(
    options: Partial<ConsumerOptions> = {},
    brokerOptions: FakeBrokerOptions = {},
    listener: Partial<ConsumerListener> = {},
  ): Promise<WireConsumer> {
    broker = new FakeBroker(brokerOptions);
    ({ client, events } = clientOf(broker, { clock, random: new SeededRandom(1) }));
    return finish(
      client.subscribe(
        { topic: 'orders', subscription: 's', type: 'Shared', ...options },
        { onMessage: (message) => messages.push(message), onClosed: (error) => closed.push(error), ...listener },
      ),
    );
  }

  /** Publishes one batch, or single messages. */
  async function publish(values: readonly string[], batched = true): Promise<void> {
    const producer = await finish(client.createProducer({ topic: 'orders', batching: { enabled: batched } }));
    const sent = values.map((value) => producer.send({ payload: Buffer.from(value) }));
    await finish(producer.close());
    await Promise.all(sent);
    await quiet();
  }

  async function quiet(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) {
      await clock.settle();
    }
  }

  const flows = (): number[] => broker.all('flow').map(({ messagePermits }) => messagePermits);
  const entryAcks = () => broker.all('ack').flatMap(({ messageIds }) => messageIds);

  it('hands out nothing without permits, and never more than is permitted', async () => {
    const consumer = await subscribe();
    await publish(['a', 'b', 'c'], false);
    expect(messages).toEqual([]);
    expect(flows()).toEqual([]);

    consumer.permit(2);
    await quiet();
    expect(texts()).toEqual(['a', 'b']);

    consumer.permit(5);
    await quiet();
    expect(texts()).toEqual(['a', 'b', 'c']);
  });

  it('keeps what a batch brings beyond the permits, and lets the permits at the broker go below zero', async () => {
    const consumer = await subscribe();
    await publish(['a', 'b', 'c', 'd', 'e']);

    consumer.permit(2);
    await quiet();
    expect(texts()).toEqual(['a', 'b']);
    consumer.permit(2);
    expect(texts()).toEqual(['a', 'b', 'c', 'd']);
    consumer.permit(3);
    await publish(['f', 'g', 'h'], false);

    expect(texts()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    expect(flows().reduce((sum, permits) => sum + permits, 0)).toBe(7);
  });

  it('tells permits in halves of the window', async () => {
    const consumer = await subscribe(
      {},
      {},
      {
        onMessage: (message) => {
          messages.push(message);
          consumer.permit(1);
        },
      },
    );
    consumer.permit(10);
    await publish(
      Array.from({ length: 20 }, (_, index) => `${index}`),
      false,
    );

    expect(messages).toHaveLength(20);
    expect(flows()).toEqual([10, 5, 5, 5, 5]);
  });

  it('puts the acknowledgements of one turn into one command and resolves with its receipt', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    await publish(['a', 'b', 'c'], false);
    let receipts = 0;

    const acks = messages.map(({ id }) => consumer.ack(id).then(() => receipts++));
    expect(receipts).toBe(0);
    await finish(Promise.all(acks));

    expect(broker.all('ack')).toHaveLength(1);
    expect(entryAcks().map(({ entryId }) => entryId)).toEqual([0n, 1n, 2n]);
    expect(broker.topic(TOPIC).subscriptions.get('s')?.acknowledged.size).toBe(3);
  });

  it('acknowledges a batch by its items, and the entry only with the last one', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    await publish(['a', 'b', 'c', 'd']);

    await finish(Promise.all([0, 2].map((index) => consumer.ack(idAt(index)))));
    expect(entryAcks().map(({ ackSet, batchSize }) => [[...ackSet], batchSize])).toEqual([[[0b1010, 0], 4]]);
    await finish(Promise.all([1, 3].map((index) => consumer.ack(idAt(index)))));

    expect(entryAcks().map(({ ackSet }) => ackSet.length)).toEqual([2, 0]);
    expect(broker.topic(TOPIC).subscriptions.get('s')?.acknowledged.has(0n)).toBe(true);
  });

  it('sends one acknowledgement for a whole batch where the broker keeps no items', async () => {
    const consumer = await subscribe({ batchIndexAck: false });
    consumer.permit(10);
    await publish(['a', 'b', 'c']);

    await finish(Promise.all([0, 1].map((index) => consumer.ack(idAt(index)))));
    expect(entryAcks()).toEqual([]);
    await finish(consumer.ack(idAt(2)));

    expect(entryAcks()).toMatchObject([{ entryId: 0n }]);
  });

  const idAt = (index: number) => {
    const message = messages[index];
    if (message === undefined) {
      throw new Error(`There is no message ${index}.`);
    }
    return message.id;
  };

  it('acknowledges cumulatively in the middle of a batch, and refuses it where it is void', async () => {
    const consumer = await subscribe({ type: 'Exclusive' });
    consumer.permit(10);
    await publish(['a', 'b', 'c']);
    await publish(['d', 'e', 'f']);

    await finish(consumer.ackCumulative(idAt(4)));
    expect(broker.all('ack')).toMatchObject([{ ackType: 1, messageIds: [{ entryId: 1n, batchSize: 3 }] }]);
    expect([...(entryAcks()[0]?.ackSet ?? [])]).toEqual([0b100, 0]);

    const shared = await finish(
      client.subscribe(
        { topic: 'orders', subscription: 't', type: 'Shared' },
        { onMessage: () => {}, onClosed: () => {} },
      ),
    );
    await expect(shared.ackCumulative(idAt(4))).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_UNSUPPORTED',
      kind: 'permanent',
    });
  });

  it('sends the furthest of the cumulative acknowledgements of one turn', async () => {
    const consumer = await subscribe({ type: 'Exclusive' });
    consumer.permit(10);
    await publish(['a', 'b', 'c', 'd'], false);

    await finish(Promise.all([0, 2, 1].map((index) => consumer.ackCumulative(idAt(index)))));

    expect(entryAcks().map(({ entryId }) => entryId)).toEqual([2n]);
    expect(broker.topic(TOPIC).subscriptions.get('s')?.acknowledged.size).toBe(3);
  });

  it('hands out again only the item that was given back, no sooner than its delay', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    await publish(['a', 'b', 'c']);
    await finish(consumer.ack(idAt(0)));

    consumer.nack(idAt(1), 500);
    await clock.advance(490);
    expect(broker.all('redeliverUnacknowledgedMessages')).toEqual([]);
    await clock.advance(20);
    await quiet();

    expect(texts()).toEqual(['a', 'b', 'c', 'b']);
    expect(messages.at(-1)?.redeliveryCount).toBe(1);
    await finish(Promise.all([consumer.ack(idAt(3)), consumer.ack(idAt(2))]));
    expect(broker.topic(TOPIC).subscriptions.get('s')?.acknowledged.has(0n)).toBe(true);
  });

  it('brings again what is neither acknowledged nor given back in time, and nothing else', async () => {
    const consumer = await subscribe({ ackTimeoutMs: 1_000 });
    consumer.permit(10);
    await publish(['a', 'b', 'c', 'd']);
    await finish(consumer.ack(idAt(0)));
    consumer.nack(idAt(1), 60_000);

    await clock.advance(950);
    await quiet();
    expect(texts()).toEqual(['a', 'b', 'c', 'd']);
    await clock.advance(200);
    await quiet();
    expect(texts()).toEqual(['a', 'b', 'c', 'd', 'c', 'd']);

    await finish(Promise.all([consumer.ack(idAt(4)), consumer.ack(idAt(5))]));
    await clock.advance(5_000);
    await quiet();
    expect(messages).toHaveLength(6);
  });

  it('leaves out what a cumulative acknowledgement covers when time is over', async () => {
    const consumer = await subscribe({ type: 'Exclusive', ackTimeoutMs: 1_000 });
    consumer.permit(10);
    await publish(['a', 'b'], false);
    await finish(consumer.ackCumulative(idAt(1)));
    await clock.advance(5_000);
    await quiet();
    expect(texts()).toEqual(['a', 'b']);
    expect(broker.all('redeliverUnacknowledgedMessages')).toEqual([]);
  });

  it('waits longer each time that a message is given back, up to its bound', async () => {
    const consumer = await subscribe({ nackBackoff: { initialMs: 100, maxMs: 300 } });
    consumer.permit(10);
    await publish(['a']);
    for (const [deliveries, delayMs] of [100, 200, 300, 300].entries()) {
      expect(messages).toHaveLength(deliveries + 1);
      consumer.nack(idAt(deliveries));
      await clock.advance(delayMs - 20);
      await quiet();
      expect(messages).toHaveLength(deliveries + 1);
      await clock.advance(40);
      await quiet();
    }
    expect(texts()).toEqual(['a', 'a', 'a', 'a', 'a']);
  });

  it.each([
    [{ ackTimeoutMs: 999 }, 'ackTimeoutMs'],
    [{ nackBackoff: { initialMs: 10, maxMs: 5 } }, 'nackBackoff.maxMs'],
    [{ nackBackoff: { initialMs: 10, maxMs: 50, multiplier: 0.5 } }, 'nackBackoff.multiplier'],
  ])('refuses %o', async (options, option) => {
    await subscribe();
    await expect(
      client.subscribe({ topic: 'orders', subscription: 'x', ...options }, { onMessage: () => {}, onClosed: () => {} }),
    ).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_INVALID_OPTION', option });
  });

  it('credits no permit for items that the broker did not charge', async () => {
    const consumer = await subscribe();
    consumer.permit(4);
    await publish(['a', 'b', 'c', 'd']);
    await finish(Promise.all([0, 1, 2].map((index) => consumer.ack(idAt(index)))));
    consumer.nack(idAt(3));
    await clock.advance(10);
    consumer.permit(1);
    await quiet();

    expect(texts()).toEqual(['a', 'b', 'c', 'd', 'd']);
    expect(flows()).toEqual([4, 1]);
  });

  it('gives everything back in order on an exclusive subscription, and drops what was sent before', async () => {
    const consumer = await subscribe({ type: 'Exclusive' });
    consumer.permit(3);
    await publish(['a', 'b', 'c'], false);

    consumer.nack(idAt(1));
    await clock.advance(10);
    // Sent before the request arrived: an older epoch.
    const entry = broker.topic(TOPIC).entries[2];
    const connection = broker.open[0];
    const consumerId = broker.all('subscribe')[0]?.consumerId ?? -1;
    if (entry === undefined || connection === undefined) {
      throw new Error('nothing was stored');
    }
    const messageId = { ledgerId: 7n, entryId: 2n, ackSet: new Int32Array(0) };
    connection.raw(messageFrame({ consumerId, messageId, consumerEpoch: 0 }, entry.stored));
    await quiet();
    expect(messages).toHaveLength(3);
    consumer.permit(3);
    await quiet();

    expect(texts()).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
    expect(broker.all('redeliverUnacknowledgedMessages')).toMatchObject([{ consumerEpoch: 1, messageIds: [] }]);
  });

  describe('that gives everything back', () => {
    const asked = (): number => broker.all('redeliverUnacknowledgedMessages').length;
    const skips = (): number => events.filter(({ type }) => type === 'entries-skipped').length;

    /** Sends an entry as a broker does whose cursor has jumped. */
    function send(entryId: bigint, consumerEpoch: number): void {
      const last = broker.topic(TOPIC).entries.at(-1);
      const consumerId = broker.all('subscribe')[0]?.consumerId ?? -1;
      if (last === undefined) {
        throw new Error('nothing was stored');
      }
      const header = { consumerId, messageId: { ledgerId: 7n, entryId, ackSet: new Int32Array(0) }, consumerEpoch };
      broker.open[0]?.raw(messageFrame(header, last.stored));
    }

    it('asks for everything once more where an entry was skipped, and registers anew where that does not help', async () => {
      const consumer = await subscribe({ type: 'Failover' });
      consumer.permit(100);
      await publish(['a', 'b', 'c', 'd'], false);
      broker.script('redeliverUnacknowledgedMessages', () => true);
      consumer.redeliverUnacknowledged();
      for (const [epoch, entryId, asks] of [
        [1, 5n, 2],
        [2, 1n, 3],
        [3, 5n, 3],
      ] as const) {
        send(entryId, epoch);
        await quiet();
        expect([asked(), messages.length]).toEqual([asks, 4]);
      }
      expect(skips()).toBe(3);
      await clock.advance(1_000);
      await quiet();
      expect(texts()).toEqual(['a', 'b', 'c', 'd', 'a', 'b', 'c', 'd']);
      expect([broker.all('closeConsumer').length, broker.all('subscribe').length, broker.consumers]).toEqual([1, 2, 1]);
    });

    it('asks once more when nothing comes for a second, until the end of the topic is behind it', async () => {
      const consumer = await subscribe({ type: 'Exclusive' });
      consumer.permit(100);
      await publish(['a', 'b', 'c'], false);
      broker.script('redeliverUnacknowledgedMessages', () => true);
      consumer.redeliverUnacknowledged();
      await clock.advance(999);
      broker.unscript('redeliverUnacknowledgedMessages');
      expect([asked(), skips()]).toEqual([1, 0]);
      await clock.advance(1);
      await quiet();
      expect([asked(), skips(), texts()]).toEqual([2, 1, ['a', 'b', 'c', 'a', 'b', 'c']]);

      for (let second = 0; second < 5; second++) {
        await clock.advance(1_000);
        await quiet();
      }
      expect([asked(), skips(), broker.all('getLastMessageId').length]).toEqual([2, 1, 2]);
    });

    it('does not wait for what was done with elsewhere', async () => {
      const consumer = await subscribe({ type: 'Exclusive' });
      consumer.permit(100);
      await publish(['a', 'b'], false);
      broker.script('redeliverUnacknowledgedMessages', () => true);
      consumer.redeliverUnacknowledged();
      for (const entryId of [0n, 1n]) {
        broker.topic(TOPIC).subscriptions.get('s')?.acknowledge(entryId, new Int32Array(0));
      }
      await clock.advance(1_000);
      await quiet();
      expect([asked(), skips(), clock.pendingTimers]).toEqual([1, 0, 1]);
    });

    it('waits where it may receive nothing, and asks nobody when nothing came before', async () => {
      const consumer = await subscribe({ type: 'Failover' });
      consumer.redeliverUnacknowledged();
      consumer.permit(2);
      await publish(['a', 'b', 'c'], false);
      expect([asked(), texts()]).toEqual([0, ['a', 'b']]);
      consumer.redeliverUnacknowledged();
      for (let second = 0; second < 5; second++) {
        await clock.advance(1_000);
        await quiet();
      }
      expect([asked(), skips(), broker.all('getLastMessageId').length]).toEqual([1, 0, 0]);
      consumer.permit(5);
      await quiet();
      expect(texts()).toEqual(['a', 'b', 'a', 'b', 'c']);
    });

    it('takes a gap of the log for what it is once it has registered anew because of it, and that one alone', async () => {
      const consumer = await subscribe({ type: 'Failover' });
      consumer.permit(1);
      await publish(['a', 'compacted', 'b'], false);
      broker.topic(TOPIC).subscriptions.get('s')?.acknowledge(1n, new Int32Array(0));
      consumer.redeliverUnacknowledged();
      consumer.permit(100);
      await quiet();
      await clock.advance(1_000);
      await quiet();
      expect([skips(), broker.all('subscribe').length]).toEqual([3, 2]);
      expect(texts().slice(-2)).toEqual(['a', 'b']);

      consumer.redeliverUnacknowledged();
      await quiet();
      expect([skips(), texts().slice(-2)]).toEqual([3, ['a', 'b']]);
      send(9n, asked());
      await quiet();
      expect([skips(), messages.at(-1)?.id.entryId]).toEqual([4, 2n]);
    });

    it('begins anew, too, when another consumer had its turn meanwhile', async () => {
      const consumer = await subscribe({ type: 'Failover' });
      consumer.permit(100);
      await publish(['a', 'b'], false);
      const consumerId = broker.all('subscribe')[0]?.consumerId ?? -1;
      broker.script('redeliverUnacknowledgedMessages', () => true);
      consumer.redeliverUnacknowledged();
      for (const isActive of [true, false]) {
        broker.open[0]?.send('activeConsumerChange', { consumerId, isActive });
        await quiet();
      }
      consumer.redeliverUnacknowledged();
      await clock.advance(5_000);
      broker.open[0]?.send('activeConsumerChange', { consumerId, isActive: true });
      await quiet();
      send(8n, 1);
      await quiet();
      expect([asked(), skips(), messages.at(-1)?.id.entryId]).toEqual([1, 0, 8n]);
    });
  });

  it('drops what a lost connection left in the queue, and tells its whole window anew', async () => {
    const consumer = await subscribe();
    await publish(['a', 'b', 'c', 'd', 'e']);
    consumer.permit(2);
    await quiet();
    expect(texts()).toEqual(['a', 'b']);

    broker.open[0]?.cut();
    await quiet();
    expect(broker.open).toEqual([]);
    consumer.permit(5);
    expect(texts()).toEqual(['a', 'b']);
    await clock.advance(1_000);
    await quiet();

    expect(texts()).toEqual(['a', 'b', 'a', 'b', 'c', 'd', 'e']);
    expect(broker.connections.at(-1)?.all('flow')).toMatchObject([{ messagePermits: 5 }]);
  });

  it('sends again the acknowledgements that a lost connection took along, before it asks for messages', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    await publish(['a', 'b'], false);
    broker.script('ack', () => true);
    const acks = Promise.all(messages.map(({ id }) => consumer.ack(id)));
    await quiet();
    expect(broker.all('ack')).toHaveLength(1);

    broker.unscript('ack');
    broker.open[0]?.cut();
    await finish(acks);
    await quiet();

    expect(texts()).toEqual(['a', 'b']);
    const names = broker.connections.at(-1)?.received.map(({ name }) => name) ?? [];
    expect(names.indexOf('ack')).toBeLessThan(names.indexOf('flow'));
  });

  it('rejects an acknowledgement that is never answered, as ambiguous', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    await publish(['a']);
    broker.script('ack', () => true);

    await expect(finish(consumer.ack(idAt(0)))).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_REQUEST_TIMEOUT',
      ambiguous: true,
    });
  });

  it('sends again at once what an unloaded topic took along on a connection that stays', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    await publish(['a'], false);
    broker.script('ack', () => true);
    const acked = consumer.ack(idAt(0));
    await quiet();
    broker.unscript('ack');
    const startMs = clock.monotonic();

    broker.unload(TOPIC);
    await finish(acked);

    // The broker never answers the first one; to wait for its timeout would hold up a close() for 30 s.
    expect(clock.monotonic() - startMs).toBeLessThan(1_000);
    expect(broker.topic(TOPIC).subscriptions.get('s')?.acknowledged.size).toBe(1);
  });

  it('closes the registration that its acknowledgements waited for', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    await publish(['a'], false);
    broker.script('ack', () => true);
    const acked = consumer.ack(idAt(0));
    const closing = consumer.close();
    await quiet();
    broker.unscript('ack');

    broker.open.at(-1)?.cut();
    await finish(Promise.all([acked, closing]));

    expect(broker.consumers).toBe(0);
  });

  it('leaves nothing at the broker when it is closed while it subscribes again', async () => {
    const consumer = await subscribe();
    let answer: (() => void) | undefined;
    broker.script('subscribe', (connection, { requestId }) => {
      answer = () => connection.send('success', { requestId });
      return true;
    });
    broker.unload(TOPIC);
    await clock.advance(200);
    await quiet();
    await finish(consumer.close());
    expect(broker.all('closeConsumer')).toEqual([]);

    answer?.();
    await quiet();

    expect(broker.all('closeConsumer').map(({ consumerId }) => consumerId)).toEqual([
      broker.all('subscribe')[0]?.consumerId,
    ]);
  });

  it('subscribes again after its topic was unloaded, and receives what was not acknowledged', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    await publish(['a', 'b'], false);
    await finish(consumer.ack(idAt(0)));

    broker.unload(TOPIC);
    await clock.advance(1_000);
    await quiet();

    expect(texts()).toEqual(['a', 'b', 'b']);
    expect(closed).toEqual([]);
    expect(broker.connections).toHaveLength(1);
  });

  it('waits for its own dying registration, and reports a busy subscription at once', async () => {
    await subscribe({ type: 'Exclusive' });
    let refusals = 0;
    broker.script('subscribe', (connection, { requestId }) => {
      if (refusals++ < 3) {
        connection.send('error', { requestId, error: 5, message: 'Exclusive consumer is already connected' });
        return true;
      }
      return false;
    });
    await expect(
      finish(client.subscribe({ topic: 'orders', subscription: 's' }, { onMessage: () => {}, onClosed: () => {} })),
    ).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_BROKER_CONSUMER_BUSY', kind: 'recreate' });

    broker.unload(TOPIC);
    await clock.advance(5_000);
    await quiet();
    expect(refusals).toBe(4);
    expect(closed).toEqual([]);
  });

  it('says once that it is gone for good', async () => {
    const consumer = await subscribe();
    broker.script('subscribe', (connection, { requestId }) => {
      connection.send('error', { requestId, error: 4, message: 'not authorised any more' });
      return true;
    });
    broker.unload(TOPIC);
    await clock.advance(1_000);
    await quiet();

    expect(closed).toMatchObject([{ kind: 'permanent' }]);
    await consumer.close();
  });

  it('acknowledges a damaged entry as such, makes its permit good and goes on', async () => {
    const consumer = await subscribe();
    consumer.permit(1);
    broker.script('flow', (connection, { consumerId }) => {
      broker.unscript('flow');
      const stored = { bytes: Buffer.from([0, 0, 0, 1, 0xff, 0]) };
      const messageId = { ledgerId: 7n, entryId: 99n, ackSet: new Int32Array(0) };
      connection.raw(messageFrame({ consumerId, messageId }, stored));
      return true;
    });
    await publish(['a'], false);

    expect(events.filter(({ type }) => type === 'entry-dropped')).toMatchObject([{ entry: '7:99' }]);
    expect(broker.all('ack')).toMatchObject([{ validationError: 0, messageIds: [{ entryId: 99n }] }]);
    expect(flows()).toEqual([1, 1]);
    expect(texts()).toEqual(['a']);
  });

  it('does not hand out one chunk of a larger message', async () => {
    const consumer = await subscribe();
    consumer.permit(1);
    broker.script('flow', (connection, { consumerId }) => {
      broker.unscript('flow');
      const messageId = { ledgerId: 7n, entryId: 99n, ackSet: new Int32Array(0) };
      connection.raw(messageFrame({ consumerId, messageId }, { bytes: chunk() }));
      return true;
    });
    await publish(['a'], false);

    expect(events.filter(({ type }) => type === 'entry-dropped')).toMatchObject([
      { entry: '7:99', cause: { code: 'SMARTPULSE_WIRE_UNSUPPORTED' } },
    ]);
    expect(texts()).toEqual(['a']);
    expect(broker.all('ack')).toEqual([]);
  });

  /** Metadata of producer "p", sequence 0, time 1, of 3 chunks. */
  const chunk = (): Buffer => Buffer.from([0, 0, 0, 10, 0x0a, 1, 0x70, 0x10, 0, 0x18, 1, 0xd8, 1, 3, 0x78]);

  it('hands out a tombstone as one, not as an empty payload', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    const producer = await finish(client.createProducer({ topic: 'orders' }));
    const sent = [null, new Uint8Array(0)].map((payload) => producer.send({ payload, sequenceId: undefined }));
    const single = producer.send({ payload: null, key: 'k', deliverAtMs: 1 });
    await finish(Promise.all([...sent, single]));
    await quiet();

    expect(messages.map(({ isTombstone, payload }) => [isTombstone, payload.length])).toEqual([
      [true, 0],
      [false, 0],
      [true, 0],
    ]);
  });

  it('gives a message back whose listener threw, and keeps the connection', async () => {
    let failures = 0;
    const consumer = await subscribe(
      {},
      {},
      {
        onMessage: (message) => {
          messages.push(message);
          if (failures++ === 0) {
            throw new Error('a bug');
          }
        },
      },
    );
    consumer.permit(2);
    await publish(['a'], false);
    await clock.advance(1_100);
    await quiet();

    expect(texts()).toEqual(['a', 'a']);
    expect(events.filter(({ type }) => type === 'listener-failed')).toHaveLength(1);
    expect(broker.connections).toHaveLength(1);
  });

  it('goes on behind the last message handed out when it has no durable cursor', async () => {
    const consumer = await subscribe({ durable: false, initialPosition: 'earliest', type: 'Exclusive' });
    await publish(['a', 'b', 'c']);
    await publish(['d']);
    consumer.permit(2);
    await quiet();

    broker.open[0]?.cut();
    await clock.advance(1_000);
    consumer.permit(10);
    await quiet();

    expect(texts()).toEqual(['a', 'b', 'c', 'd']);
    expect(broker.all('subscribe').map(({ startMessageId }) => startMessageId?.batchIndex)).toEqual([undefined, 1]);
    expect(broker.all('subscribe')[0]?.startMessageId).toMatchObject({ ledgerId: -1n, entryId: -1n });
  });

  it('drops what was on its way when it sought, and receives from there', async () => {
    const consumer = await subscribe({ type: 'Exclusive' });
    await publish(['a', 'b', 'c'], false);
    consumer.permit(3);
    await quiet();
    const second = idAt(1);
    await publish(['d', 'e']);
    consumer.permit(1);
    await quiet();

    await finish(consumer.seek(new MessageId(second.ledgerId, second.entryId)));
    await clock.advance(1_000);
    consumer.permit(10);
    await quiet();

    expect(texts()).toEqual(['a', 'b', 'c', 'd', 'b', 'c', 'd', 'e']);
    expect(closed).toEqual([]);
  });

  it('drops what arrives between a seek and its answer', async () => {
    const consumer = await subscribe({ type: 'Exclusive' });
    await publish(['a', 'b'], false);
    consumer.permit(3);
    await quiet();
    broker.script('seek', (connection, { consumerId }) => {
      const entry = broker.topic(TOPIC).entries[1];
      if (entry !== undefined) {
        const messageId = { ledgerId: 7n, entryId: 1n, ackSet: new Int32Array(0) };
        connection.raw(messageFrame({ consumerId, messageId }, entry.stored));
      }
      return false;
    });

    await finish(consumer.seek(MessageId.earliest));
    await quiet();
    expect(texts()).toEqual(['a', 'b']);
  });

  it.each([
    ['refuses', 'seek' as const],
    ['refuses', 'unsubscribe' as const],
    ['does not answer', 'seek' as const],
    ['does not answer', 'unsubscribe' as const],
  ])('receives what waited in its queue when the broker %s to %s and keeps its registration', async (how, request) => {
    const consumer = await subscribe({ type: 'Exclusive', initialPosition: 'earliest' });
    await publish(['a', 'b', 'c']);
    consumer.permit(1);
    await quiet();
    expect(consumer).toMatchObject({ queued: 2 });
    broker.script(request, (connection, { requestId }) => {
      if (how === 'refuses') {
        connection.send('error', { requestId, error: 0, message: 'not now' });
      }
      return true;
    });

    const asked = request === 'seek' ? consumer.seek(MessageId.latest) : consumer.unsubscribe();
    await expect(finish(asked)).rejects.toThrow(how === 'refuses' ? 'not now' : 'No answer');
    await finish(consumer.ack(idAt(0)));
    consumer.permit(10);
    await clock.advance(2_000);
    await quiet();

    expect(texts()).toEqual(['a', 'b', 'c']);
    expect(broker.consumers).toBe(1);
    broker.unscript(request);
  });

  it('takes a subscription back that the broker may have made after the timeout', async () => {
    broker = new FakeBroker();
    ({ client, events } = clientOf(broker, { clock, random: new SeededRandom(1) }, { operationTimeoutMs: 1_000 }));
    broker.script('subscribe', () => true);

    await expect(
      finish(client.subscribe({ topic: 'orders', subscription: 's' }, { onMessage: () => {}, onClosed: () => {} })),
    ).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_REQUEST_TIMEOUT' });
    expect(broker.all('closeConsumer').map(({ consumerId }) => consumerId)).toEqual(
      broker.all('subscribe').map(({ consumerId }) => consumerId),
    );
  });

  it('tells of the end of the topic and of its turn', async () => {
    const heard: unknown[] = [];
    await subscribe(
      { type: 'Failover' },
      {},
      {
        onEndOfTopic: () => heard.push('end'),
        onActiveChange: (isActive) => heard.push(isActive),
      },
    );
    const consumerId = broker.all('subscribe')[0]?.consumerId ?? -1;
    broker.open[0]?.send('activeConsumerChange', { consumerId, isActive: true });
    broker.open[0]?.send('reachedEndOfTopic', { consumerId });
    broker.open[0]?.send('activeConsumerChange', { consumerId, isActive: false });
    await quiet();

    expect(heard).toEqual([true, 'end', false]);
  });

  it('sends its acknowledgements before it closes, and ignores what comes later', async () => {
    const consumer = await subscribe();
    consumer.permit(10);
    await publish(['a', 'b'], false);
    const acked = consumer.ack(idAt(0));
    consumer.nack(idAt(1), 1_000);

    await finish(consumer.close());

    await acked;
    const names = broker.connections[0]?.received.map(({ name }) => name) ?? [];
    expect(names.indexOf('ack')).toBeLessThan(names.indexOf('closeConsumer'));
    await expect(consumer.ack(idAt(1))).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_CLOSED', kind: 'recreate' });
    await consumer.close();
    expect(closed).toEqual([]);
  });

  it('ends its close when the broker does not come back for its acknowledgements, which may have been taken', async () => {
    const consumer = await subscribe({ initialPosition: 'earliest' });
    consumer.permit(1);
    await publish(['a'], false);
    broker.script('ack', () => true);
    const acked = expect(consumer.ack(messages[0]!.id)).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_CLOSED',
      ambiguous: true,
    });
    await quiet();
    const closing = Promise.all([consumer.close(), client.close()]);
    await quiet();
    broker.down = true;
    broker.open.at(-1)?.cut();

    await finish(closing);
    await acked;
  });

  it('leaves nothing at a broker that answers none of its acknowledgements', async () => {
    const consumer = await subscribe({ type: 'Exclusive', initialPosition: 'earliest' });
    consumer.permit(1);
    await publish(['a'], false);
    broker.script('ack', () => true);
    const acked = expect(consumer.ack(idAt(0))).rejects.toMatchObject({ ambiguous: true });

    await finish(consumer.close());
    await quiet();

    await acked;
    expect(broker.consumers).toBe(0);
  });

  it('takes the refusal to unsubscribe beside another consumer as final', async () => {
    const consumer = await subscribe();
    broker.script('unsubscribe', (connection, { requestId }) => {
      connection.send('error', {
        requestId,
        error: 1,
        message: 'Unconnected or shared consumer attempting to unsubscribe',
      });
      return true;
    });

    await expect(finish(consumer.unsubscribe())).rejects.toMatchObject({ kind: 'permanent' });
    broker.unscript('unsubscribe');
    await finish(consumer.unsubscribe());
  });

  it('keeps permits back when what they would bring is more than prefetchBytes, and gives them when messages are done with', async () => {
    const consumer = await subscribe({ prefetchBytes: 1_000 });
    consumer.permit(100);
    await quiet();
    expect(flows()).toEqual([1]);
    const payloads = Array.from({ length: 30 }, () => 'x'.repeat(200));
    await publish(payloads, false);
    // One to learn what they weigh, then as many as fit.
    expect(messages).toHaveLength(5);

    while (messages.length < 30) {
      const before = messages.length;
      consumer.permit(1);
      await quiet();
      expect(messages.length - before).toBeLessThanOrEqual(5);
      expect(messages.length).toBeGreaterThanOrEqual(before);
    }
    expect(messages).toHaveLength(30);
  });

  it('counts no bytes of what it dropped with a lost connection', async () => {
    const consumer = await subscribe({ prefetchBytes: 1_000 });
    await publish(Array.from({ length: 10 }, () => 'x'.repeat(200)));
    consumer.permit(1);
    await quiet();
    expect(consumer).toMatchObject({ queued: 9 });
    broker.open.at(-1)?.cut();
    await clock.advance(1_000);
    await quiet();
    const before = messages.length;

    consumer.permit(1);
    await quiet();

    expect(messages).toHaveLength(before + 1);
  });

  it('consumes all partitions behind one window', async () => {
    const consumer = await subscribe({ initialPosition: 'earliest' }, { partitions: { [TOPIC]: 3 } });
    const producer = await finish(
      client.createProducer({ topic: 'orders', batching: { enabled: false }, maxPendingMessages: 300 }),
    );
    await finish(
      Promise.all(Array.from({ length: 30 }, (_, index) => producer.send({ payload: Buffer.from(`${index}`) }))),
    );
    consumer.permit(4);
    await quiet();
    expect(messages).toHaveLength(4);
    consumer.permit(100);
    await quiet();

    expect(
      texts()
        .map(Number)
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 30 }, (_, index) => index));
    expect(new Set(messages.map(({ topic }) => topic)).size).toBe(3);
    await finish(Promise.all(messages.map(({ id }) => consumer.ack(id))));
    expect(ids()).toHaveLength(30);
  });
});
