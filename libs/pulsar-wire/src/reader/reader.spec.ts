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

  it.each([
    ['before it asks', 'cut' as const],
    ['before the broker answers', 'swallow' as const],
  ])('knows it, too, when the connection is lost %s', async (_when, how) => {
    await publish(['a'], false);
    const reader = await read();
    await texts(reader, 1);
    if (how === 'swallow') {
      broker.script('getLastMessageId', (connection) => {
        broker.unscript('getLastMessageId');
        connection.cut();
        return true;
      });
    } else {
      broker.open.at(-1)?.cut();
      await clock.settle();
    }

    expect(await finish(reader.hasNext())).toBe(false);
  });

  it('says that there is no connection to ask by, when there is none for too long, and ends the wait when it is closed', async () => {
    const reader = await read();
    broker.down = true;
    broker.open.at(-1)?.cut();
    await clock.settle();
    await expect(finish(reader.hasNext())).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_REQUEST_TIMEOUT',
      kind: 'transient',
      cause: { code: 'SMARTPULSE_WIRE_CONNECTION' },
    });
    await expect(reader.seek(MessageId.earliest)).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_CONNECTION' });

    const asked = expect(reader.hasNext()).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_CLOSED' });
    await finish(reader.close());
    await asked;
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

  it('begins with what was published at a time, also after a lost connection and by a seek', async () => {
    const times: number[] = [];
    for (const value of ['a', 'b', 'c', 'd']) {
      times.push(clock.now());
      await publish([value], false);
      await clock.advance(60_000);
    }
    const [, , third = expect.unreachable()] = times;
    const reader = await read({ startMessageId: undefined, startPublishTimeMs: third });
    broker.open.at(-1)?.cut();
    expect(await texts(reader, 1)).toEqual(['c']);
    expect(broker.all('subscribe').at(-1)?.startMessageRollbackDurationSec).toBeGreaterThanOrEqual(180);
    broker.open.at(-1)?.cut();
    expect(await texts(reader, 1)).toEqual(['d']);
    await clock.advance(1_000);
    expect(broker.all('subscribe').at(-1)?.startMessageRollbackDurationSec).toBeUndefined();

    await finish(reader.seek({ publishTimeMs: third }));

    expect(broker.all('seek').at(-1)).toMatchObject({ messagePublishTime: third });
    expect(await texts(reader, 2)).toEqual(['c', 'd']);
  });

  it('begins at the end when the time is yet to come', async () => {
    await publish(['a'], false);
    await read({ startMessageId: undefined, startPublishTimeMs: clock.now() + 3_600_000 });
    expect(broker.all('subscribe').at(-1)).toMatchObject({
      startMessageId: { ledgerId: MessageId.latest.ledgerId },
    });
  });

  it.each([
    [{ startMessageId: undefined }, 'startMessageId'],
    [{ startPublishTimeMs: 1 }, 'startPublishTimeMs'],
    [{ startMessageId: undefined, startPublishTimeMs: -1 }, 'startPublishTimeMs'],
    [{ prefetchBytes: 0 }, 'prefetchBytes'],
    [{ queueSize: 0 }, 'queueSize'],
  ])('refuses %j, naming the option', async (options, option) => {
    await expect(read(options)).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_INVALID_OPTION', option });
  });

  it('reads all partitions, each in its order, and knows where each ends', async () => {
    start({ partitions: { [TOPIC]: 3 } });
    const producer = await finish(client.createProducer({ topic: 'orders', batching: { enabled: false } }));
    for (let index = 0; index < 12; index++) {
      await finish(producer.send({ key: `k-${index % 4}`, payload: Buffer.from(`${index % 4}/${index}`) }));
    }
    await finish(producer.close());
    const reader = await read();
    expect(await finish(reader.hasNext())).toBe(true);

    const read12 = await texts(reader, 12);

    expect([...read12].sort()).toHaveLength(12);
    for (const key of ['0', '1', '2', '3']) {
      const ofKey = read12.filter((text) => text.startsWith(`${key}/`)).map((text) => Number(text.split('/')[1]));
      expect(ofKey).toEqual([...ofKey].sort((one, other) => one - other));
    }
    expect(await finish(reader.hasNext())).toBe(false);
    expect(
      (await finish(reader.lastMessageIds())).map(({ entryId }) => Number(entryId) + 1).reduce((a, b) => a + b),
    ).toBe(12);
    await expect(reader.lastMessageId()).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_UNSUPPORTED' });

    await finish(reader.seek(MessageId.earliest));
    expect([...(await texts(reader, 12))].sort()).toEqual([...read12].sort());
    await expect(reader.seek(new MessageId(7n, 0n, 0))).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_UNSUPPORTED' });
  });

  it.each([
    ['keeps what a partition sends that has sought before the others', 'success' as const],
    ['reads on where it was, and loses nothing, when a partition refuses to seek', 'error' as const],
  ])('%s', async (_, answer) => {
    start({ partitions: { [TOPIC]: 2 } });
    for (const partition of [0, 1]) {
      const producer = await finish(
        client.createProducer({ topic: `${TOPIC}-partition-${partition}`, batching: { enabled: false } }),
      );
      for (const text of ['a', 'b', 'c']) {
        await finish(producer.send({ payload: Buffer.from(`${partition}${text}`) }));
      }
      await finish(producer.close());
    }
    const reader = await read();
    const begun = await texts(reader, 2);
    let answerLater = (): void => {};
    broker.script('seek', (connection, { requestId }) => {
      broker.unscript('seek');
      answerLater = () =>
        answer === 'success'
          ? connection.send('success', { requestId })
          : connection.send('error', { requestId, error: 0, message: 'not now' });
      return true;
    });
    const sought = reader.seek(MessageId.earliest);
    const told = answer === 'success' ? sought : expect(sought).rejects.toThrow('not now');
    await finish(clock.advance(2_000));
    answerLater();
    await finish(told.then(() => undefined));

    // The partition that has sought comes from its beginning; the other one goes on, or, where the broker had sought, has yet to be told of it.
    const rest = await texts(reader, answer === 'success' ? 3 : 7);
    const ofSought = rest.filter((text) => text.startsWith('1'));
    expect(ofSought.slice(-3)).toEqual(['1a', '1b', '1c']);
    if (answer === 'error') {
      expect(new Set([...begun, ...rest])).toEqual(new Set(['0a', '0b', '0c', '1a', '1b', '1c']));
    }
  });

  it('serves those who wait from what it kept ready when the broker refuses to seek, in order', async () => {
    await publish(['a', 'b', 'c'], false);
    const reader = await read({ queueSize: 2 });
    expect(await texts(reader, 1)).toEqual(['a']);
    broker.script('seek', (connection, { requestId }) => {
      connection.send('error', { requestId, error: 0, message: 'not now' });
      return true;
    });

    const refused = expect(finish(reader.seek(MessageId.latest))).rejects.toThrow('not now');
    const next = reader.next();
    await refused;

    expect(Buffer.from((await finish(next)).payload).toString('utf8')).toBe('b');
    expect(await texts(reader, 1)).toEqual(['c']);
  });

  it('hands out nothing any more when it is closed while it seeks', async () => {
    await publish(['a', 'b'], false);
    const reader = await read();
    expect(await texts(reader, 1)).toEqual(['a']);
    broker.script('seek', () => true);
    const given = expect(finish(reader.seek(MessageId.latest))).rejects.toBeInstanceOf(Error);

    await finish(reader.close());
    await given;

    await expect(reader.next()).rejects.toMatchObject({ code: 'SMARTPULSE_WIRE_CLOSED' });
  });

  it('refuses the place of one partition for all of them, and reads a partition by its name', async () => {
    start({ partitions: { [TOPIC]: 2 } });
    await expect(read({ startMessageId: new MessageId(7n, 3n, 1) })).rejects.toMatchObject({
      code: 'SMARTPULSE_WIRE_INVALID_OPTION',
    });

    expect((await read({ topic: `${TOPIC}-partition-1` })).topic).toBe(`${TOPIC}-partition-1`);
  });

  it('says from the end of the topic whether there is more, and tells the broker now and then how far it came', async () => {
    await publish(['a', 'b', 'c', 'd'], false);
    const reader = await read({ startMessageId: MessageId.latest, queueSize: 4 });
    expect(await finish(reader.hasNext())).toBe(false);
    await publish(['e', 'f', 'g'], false);
    expect(await texts(reader, 3)).toEqual(['e', 'f', 'g']);
    await finish(Promise.resolve());

    expect(broker.all('ack').map(({ ackType, messageIds }) => [ackType, messageIds[0]?.entryId])).toEqual([[1, 5n]]);
  });
});
