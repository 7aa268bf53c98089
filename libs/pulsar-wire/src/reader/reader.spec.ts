import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PulsarClient } from '../client/pulsar-client.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import { clientOf, finish as finishWith } from '../testing/fake-broker.client.js';
import { FakeBroker, type FakeBrokerOptions } from '../testing/fake-broker.js';
import type { ReaderOptions, WireReader } from './reader.options.js';

const TOPIC = 'persistent://public/default/orders';

describe('a reader', () => {
  let clock: VirtualClock;
  let broker: FakeBroker;
  let client: PulsarClient;

  beforeEach(() => {
    clock = new VirtualClock();
    start();
  });

  afterEach(async () => {
    await finish(client.close());
    await clock.settle();
    expect(clock.pendingTimers).toBe(0);
    expect(broker.open).toEqual([]);
  });

  const finish = <T>(work: Promise<T>): Promise<T> => finishWith(clock, work);

  function start(options: FakeBrokerOptions = {}): void {
    broker = new FakeBroker(options);
    client = clientOf(broker, { clock, random: new SeededRandom(1) }).client;
  }

  const read = (options: Partial<ReaderOptions> = {}): Promise<WireReader> =>
    finish(client.createReader({ topic: 'orders', startMessageId: MessageId.earliest, ...options }));

  async function publish(values: readonly string[], batched = true): Promise<readonly MessageId[]> {
    const producer = await finish(client.createProducer({ topic: 'orders', batching: { enabled: batched } }));
    const sent = values.map((value) => producer.send({ payload: Buffer.from(value) }));
    await finish(producer.close());
    return Promise.all(sent);
  }

  async function texts(reader: WireReader, count: number): Promise<readonly string[]> {
    const read: string[] = [];
    for (let index = 0; index < count; index++) {
      read.push(Buffer.from((await finish(reader.next())).payload).toString('utf8'));
    }
    return read;
  }

  it('reads everything from the beginning, and waits for what is published later', async () => {
    await publish(['a', 'b']);
    const reader = await read();
    expect(await texts(reader, 2)).toEqual(['a', 'b']);
    const next = reader.next();
    await publish(['c']);

    expect(Buffer.from((await finish(next)).payload).toString('utf8')).toBe('c');
  });

  it('begins behind a message of a batch', async () => {
    const [, second = expect.unreachable()] = await publish(['a', 'b', 'c']);

    expect(await texts(await read({ startMessageId: second }), 1)).toEqual(['c']);
  });

  it('goes on behind what it has read, and hands out what it keeps ready, after a lost connection', async () => {
    await publish(['a', 'b', 'c', 'd', 'e'], false);
    const reader = await read({ queueSize: 2 });
    expect(await texts(reader, 1)).toEqual(['a']);
    broker.open.at(-1)?.cut();

    expect(await texts(reader, 4)).toEqual(['b', 'c', 'd', 'e']);
  });

  it('knows whether there is more, and the place of the last message', async () => {
    const reader = await read();
    expect(await finish(reader.hasNext())).toBe(false);
    expect((await finish(reader.lastMessageId())).entryId).toBe(-1n);

    await publish(['a', 'b']);
    expect(await finish(reader.hasNext())).toBe(true);
    await texts(reader, 1);
    expect(await finish(reader.hasNext())).toBe(true);
    await texts(reader, 1);
    expect(await finish(reader.hasNext())).toBe(false);
    expect(String(await finish(reader.lastMessageId()))).toBe('7:0:-1:1');
  });

  it('keeps no more ready than it was told', async () => {
    await publish(['a', 'b', 'c', 'd', 'e'], false);
    const reader = await read({ queueSize: 2 });
    await texts(reader, 1);

    expect(broker.all('flow').reduce((sum, { messagePermits }) => sum + messagePermits, 0)).toBe(3);
  });

  it('seeks back, and drops what it kept ready', async () => {
    const [first = expect.unreachable()] = await publish(['a', 'b', 'c', 'd'], false);
    const reader = await read({ queueSize: 2 });
    await texts(reader, 2);

    await finish(reader.seek(first));

    expect(await texts(reader, 3)).toEqual(['b', 'c', 'd']);
  });

  it('lets a signal end a wait, and loses no message to it', async () => {
    const reader = await read();
    const controller = new AbortController();
    const aborted = reader.next(controller.signal);
    controller.abort(new Error('enough'));
    await expect(aborted).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_WAIT_ABORTED' });
    await publish(['a']);

    expect(await texts(reader, 1)).toEqual(['a']);
  });

  it('rejects who waits when it is closed, and leaves nothing at the broker', async () => {
    const reader = await read();
    const next = reader.next();
    await Promise.all([expect(next).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_CLOSED' }), finish(reader.close())]);

    await expect(reader.next()).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_CLOSED' });
    expect(broker.consumers).toBe(0);
  });

  it('refuses a topic with partitions, and reads one of them', async () => {
    start({ partitions: { [TOPIC]: 2 } });
    await expect(read()).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_UNSUPPORTED' });

    expect((await read({ topic: `${TOPIC}-partition-1` })).topic).toBe(`${TOPIC}-partition-1`);
  });
});
