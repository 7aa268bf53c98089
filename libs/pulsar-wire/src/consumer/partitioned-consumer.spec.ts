import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ClientEvent } from '../client/client.options.js';
import { SeekIncompleteError } from '../client/client.errors.js';
import type { PulsarClient } from '../client/pulsar-client.js';
import { clientOf, finish as finishWith } from '../testing/fake-broker.client.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import { FakeBroker } from '../testing/fake-broker.js';
import type { ConsumerOptions, WireConsumer } from './consumer.options.js';
import type { ReceivedMessage } from './received-message.js';

const TOPIC = 'persistent://public/default/orders';
const PARTITIONS = 3;

describe('a consumer of a topic with partitions', () => {
  let clock: VirtualClock;
  let broker: FakeBroker;
  let client: PulsarClient;
  let events: readonly ClientEvent[];
  let messages: ReceivedMessage[];
  let onMessage: (message: ReceivedMessage) => void;

  beforeEach(() => {
    clock = new VirtualClock();
    messages = [];
    onMessage = () => {};
    broker = new FakeBroker({ partitions: { [TOPIC]: PARTITIONS } });
    ({ client, events } = clientOf(broker, { clock, random: new SeededRandom(1) }));
  });

  afterEach(async () => {
    await finish(client.close());
    await clock.settle();
    expect(clock.pendingTimers).toBe(0);
  });

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);
  const textOf = ({ payload }: ReceivedMessage): string => Buffer.from(payload).toString('utf8');
  const texts = (): string[] => messages.map((message) => textOf(message));
  const sorted = (): string[] => texts().toSorted();

  function subscribe(options: Partial<ConsumerOptions> = {}): Promise<WireConsumer> {
    return finish(
      client.subscribe(
        { topic: 'orders', subscription: 's', type: 'Shared', initialPosition: 'earliest', ...options },
        {
          onMessage: (message) => {
            messages.push(message);
            onMessage(message);
          },
          onClosed: () => {},
        },
      ),
    );
  }

  /** `0a 1a 2a 0b 1b 2b …`: the number is that of the partition. */
  async function publish(letters: string): Promise<void> {
    const producers = await finish(
      Promise.all(
        Array.from({ length: PARTITIONS }, (_, partition) =>
          client.createProducer({ topic: `${TOPIC}-partition-${partition}`, batching: { enabled: false } }),
        ),
      ),
    );
    for (const letter of letters) {
      await finish(
        Promise.all(
          producers.map((producer, partition) => producer.send({ payload: Buffer.from(`${partition}${letter}`) })),
        ),
      );
    }
    await finish(Promise.all(producers.map((producer) => producer.close())));
  }

  async function pass(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs <= ms; passedMs += 25) {
      await clock.advance(25);
    }
  }

  it('goes on where every partition refuses to be left for good, and may be asked again', async () => {
    const consumer = await subscribe();
    broker.script('unsubscribe', (connection, { requestId }) => {
      connection.send('error', { requestId, error: 1, message: 'another consumer is there' });
      return true;
    });
    await expect(finish(consumer.unsubscribe())).rejects.toThrow('another consumer is there');
    consumer.permit(10);
    await publish('a');
    await clock.advance(1_000);
    expect(sorted()).toEqual(['0a', '1a', '2a']);

    broker.unscript('unsubscribe');
    await finish(consumer.unsubscribe());
    expect(broker.consumers).toBe(0);
  });

  it('closes as a whole where one partition refuses to be left for good and others are', async () => {
    const consumer = await subscribe();
    broker.script('unsubscribe', (connection, { requestId }) => {
      connection.send('error', { requestId, error: 1, message: 'another consumer is there' });
      broker.unscript('unsubscribe');
      return true;
    });

    await expect(finish(consumer.unsubscribe())).rejects.toThrow('another consumer is there');

    expect(broker.consumers).toBe(0);
  });

  it('moves every partition that can be moved before it says which refused, and what the first of them said', async () => {
    await publish('ab');
    const consumer = await subscribe({ type: 'Failover' });
    consumer.permit(100);
    await pass(100);
    expect(messages).toHaveLength(6);
    const held: (() => void)[] = [];
    const partitionOf = new Map(broker.all('subscribe').map(({ consumerId, topic }) => [consumerId, topic.at(-1)]));
    broker.script('seek', (connection, { consumerId, requestId }, handle) => {
      const partition = partitionOf.get(consumerId);
      if (partition === '0') {
        held.push(handle);
      } else {
        connection.send('error', { requestId, error: 1, message: `not partition ${partition}` });
      }
      return true;
    });
    let settled = false;
    const seeking = consumer.seek(MessageId.earliest).finally(() => (settled = true));
    const refused = expect(seeking).rejects.toMatchObject({
      code: SeekIncompleteError.code,
      partitions: [1, 2],
      kind: 'transient',
      cause: expect.objectContaining({ answer: 'not partition 1' }),
      message: expect.stringContaining('1, 2'),
    });
    await pass(100);
    expect(settled).toBe(false);
    held.forEach((go) => go());
    await pass(1_000);
    await refused;

    // What was sought comes again from the partition that moved; the others begin with what is unacknowledged.
    expect(texts().filter((text) => text.startsWith('0'))).toEqual(['0a', '0b', '0a', '0b']);
  });

  it('gives back the message whose listener threw, and goes on with all others', async () => {
    await publish('abc');
    let failures = 0;
    onMessage = () => {
      if (failures++ === 0) {
        throw new Error('a bug');
      }
    };
    const consumer = await subscribe();
    consumer.permit(100);
    await pass(1_500);

    const [thrown] = texts();
    expect(sorted()).toEqual(['0a', '0b', '0c', '1a', '1b', '1c', '2a', '2b', '2c', thrown ?? ''].toSorted());
    expect(events.filter(({ type }) => type === 'listener-failed')).toHaveLength(1);
    expect(broker.connections).toHaveLength(1);
  });

  it('hands out nothing of a lost connection, and each message once when it is back', async () => {
    await publish('abcd');
    const consumer = await subscribe({ type: 'Key_Shared' });
    consumer.permit(1);
    await pass(100);
    await finish(consumer.ack(messages[0]?.id ?? expect.fail()));
    expect(messages).toHaveLength(1);

    broker.down = true;
    broker.open.forEach((connection) => connection.cut());
    await pass(100);
    consumer.permit(3);
    await pass(100);
    expect(messages).toHaveLength(1);

    broker.down = false;
    consumer.permit(100);
    await pass(2_000);
    expect(sorted()).toEqual(['0a', '0b', '0c', '0d', '1a', '1b', '1c', '1d', '2a', '2b', '2c', '2d']);
  });

  it('begins each partition again at its first unacknowledged message when everything is given back', async () => {
    await publish('abcd');
    const consumer = await subscribe({ type: 'Failover' });
    consumer.permit(2);
    await pass(100);
    messages.length = 0;

    consumer.redeliverUnacknowledged();
    consumer.permit(100);
    await pass(200);

    for (let partition = 0; partition < PARTITIONS; partition++) {
      expect(texts().filter((text) => text.startsWith(`${partition}`))).toEqual(
        ['a', 'b', 'c', 'd'].map((letter) => `${partition}${letter}`),
      );
    }
  });

  it('counts the time to acknowledge from when a message is handed out, not from when it came', async () => {
    await publish('ab');
    const consumer = await subscribe({ ackTimeoutMs: 1_000 });
    consumer.permit(1);
    await pass(100);
    await finish(consumer.ack(messages[0]?.id ?? expect.fail()));
    await pass(5_000);
    consumer.permit(100);
    await pass(100);

    expect(sorted()).toEqual(['0a', '0b', '1a', '1b', '2a', '2b']);
  });

  it('lets a listener permit from inside without calling it twice at a time, and takes turns with the partitions', async () => {
    await publish('abcdefgh');
    let nested = 0;
    let deepest = 0;
    const consumer = await subscribe();
    onMessage = () => {
      deepest = Math.max(deepest, ++nested);
      consumer.permit(1);
      nested--;
    };
    consumer.permit(1);
    await pass(200);

    expect(deepest).toBe(1);
    expect(new Set(texts()).size).toBe(8 * PARTITIONS);
    expect(messages).toHaveLength(8 * PARTITIONS);
    expect(
      new Set(
        texts()
          .slice(0, 4 * PARTITIONS)
          .map((text) => text[0]),
      ).size,
    ).toBe(PARTITIONS);
  });
});
