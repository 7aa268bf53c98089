import { ConfigurationError } from '@smartpulse/resilience';
import { afterEach, describe, expect, it } from 'vitest';
import { injectedFault } from '../../testing/fault-injecting.transport.js';
import { startApp, type TestApp } from '../../testing/test-app.js';
import type { IncomingMessage } from '../../transport/pulsar.transport.js';
import type { ConsumerOptions } from '../consumer-options.js';
import { nack } from '../settlement.js';

const TOPIC = 'persistent://public/default/jobs';
const RETRY_TOPIC = `${TOPIC}-worker-RETRY`;
const DLQ = `${TOPIC}-worker-DLQ`;
const OPTIONS = {
  topic: 'jobs',
  subscription: 'worker',
  initialPosition: 'earliest',
  concurrency: 4,
  maxAttempts: 3,
  backoff: { initialMs: 1_000, multiplier: 2, jitter: 'none' },
  retry: { mode: 'retry-topic', keyOrder: 'given-up' },
} as const satisfies ConsumerOptions<unknown>;

describe('a consumer whose retries wait on a topic', () => {
  let test: TestApp;

  afterEach(async () => {
    await test.close();
    expect(test.clock.pendingTimers).toBe(0);
  });

  /** Everything that is on a topic. */
  async function read(topic: string): Promise<readonly IncomingMessage[]> {
    const messages: IncomingMessage[] = [];
    const consumer = await test.transport.subscribe(
      { topic, subscription: 'reader', type: 'Exclusive', initialPosition: 'earliest', durable: false },
      { onMessage: (message) => messages.push(message), onClosed: () => {} },
    );
    consumer.permit(1_000);
    await test.clock.settle();
    await consumer.close();
    return messages;
  }

  it('stores a failed message there before it acknowledges it, with the properties that Pulsar’s own clients write', async () => {
    test = await startApp();
    const runs: [number, number][] = [];
    const startMs = test.clock.monotonic();
    const consumer = await test.consumers.register(OPTIONS, (_, { attempt }) => {
      runs.push([attempt, test.clock.monotonic() - startMs]);
      if (attempt < 3) {
        throw new Error('Not yet.');
      }
    });
    const steps: string[] = [];
    test.transport.plan = ({ point, topic }) => {
      if (point === 'ack' || point === 'afterSend') {
        steps.push(`${point} ${topic === TOPIC ? 'jobs' : 'retry'}`);
      }
      return undefined;
    };
    const { messageId } = await test.publisher.publish(
      'jobs',
      { id: 1 },
      { key: 'k', eventTimeMs: 7, properties: { own: 'x' } },
    );
    await test.clock.advance(10_000);

    expect(runs.map(([attempt]) => attempt)).toEqual([1, 2, 3]);
    expect(runs[1]?.[1]).toBeGreaterThanOrEqual(1_000);
    expect((runs[2]?.[1] ?? 0) - (runs[1]?.[1] ?? 0)).toBeGreaterThanOrEqual(2_000);
    expect(steps).toEqual([
      'afterSend jobs',
      'afterSend retry',
      'ack jobs',
      'afterSend retry',
      'ack retry',
      'ack retry',
    ]);
    expect(consumer.stats()).toMatchObject({ received: 3, acked: 3, retried: 2, deadLettered: 0, inFlight: 0 });
    const [first, second] = await read(RETRY_TOPIC);
    const origin = {
      REAL_TOPIC: TOPIC,
      REAL_SUBSCRIPTION: 'worker',
      ORIGIN_MESSAGE_ID: messageId,
      ORIGIN_MESSAGE_IDY_TIME: messageId,
      own: 'x',
    };
    expect(first).toMatchObject({
      key: 'k',
      eventTimeMs: 7,
      properties: { ...origin, RECONSUMETIMES: '1', DELAY_TIME: '1000' },
    });
    expect(second?.properties).toMatchObject({ ...origin, RECONSUMETIMES: '2', DELAY_TIME: '2000' });
  });

  it('lets the later messages of a key go on, which a lane does not', async () => {
    test = await startApp();
    const done: Record<string, number[]> = { topic: [], lane: [] };
    const into =
      (mode: string) =>
      ({ id }: { id: number }, { attempt }: { attempt: number }): void => {
        if (id === 1 && attempt === 1) {
          throw new Error('Not yet.');
        }
        done[mode]?.push(id);
      };
    await test.consumers.register<{ id: number }>(OPTIONS, into('topic'));
    await test.consumers.register<{ id: number }>(
      { ...OPTIONS, subscription: 'lane', retry: { mode: 'lane' } },
      into('lane'),
    );
    for (const id of [1, 2, 3]) {
      await test.publisher.publish('jobs', { id }, { key: 'k' });
    }
    await test.clock.settle();
    expect(done).toEqual({ topic: [2, 3], lane: [] });
    await test.clock.advance(5_000);
    expect(done).toEqual({ topic: [2, 3, 1], lane: [1, 2, 3] });
  });

  it('counts the runs of other processes: a message that is there with its count is not begun anew', async () => {
    test = await startApp();
    const attempts: number[] = [];
    await test.consumers.register(OPTIONS, (_, { attempt }) => {
      attempts.push(attempt);
      throw new Error('Never.');
    });
    await test.publisher.publish(
      RETRY_TOPIC,
      { id: 1 },
      {
        properties: { RECONSUMETIMES: '2', REAL_TOPIC: TOPIC, ORIGIN_MESSAGE_IDY_TIME: '7:0:-1' },
      },
    );
    await test.clock.advance(10_000);

    expect(attempts).toEqual([3]);
    const [letter] = await read(DLQ);
    expect(letter?.properties).toMatchObject({
      'x-attempts': '3',
      'x-original-topic': TOPIC,
      'x-original-message-id': '7:0:-1',
      ORIGIN_MESSAGE_ID: '7:0:-1',
      REAL_TOPIC: TOPIC,
    });
  });

  it('dead-letters what is spent with the first message’s topic and id, and begins anew what has no sensible count', async () => {
    test = await startApp();
    const attempts: number[] = [];
    await test.consumers.register(OPTIONS, (_, { attempt }) => {
      attempts.push(attempt);
      throw new Error('Never.');
    });
    const { messageId } = await test.publisher.publish('jobs', { id: 1 });
    await test.clock.advance(10_000);
    expect(attempts.splice(0)).toEqual([1, 2, 3]);
    const [letter] = await read(DLQ);
    const [original] = await read(TOPIC);
    expect(Date.parse(letter?.properties['x-first-failure-at'] ?? '')).toBe(original?.publishTimeMs);
    const [firstRetry] = await read(RETRY_TOPIC);
    expect(letter?.properties).toMatchObject({
      'x-first-failure-at': firstRetry?.properties['x-first-failure-at'],
      'x-original-publish-time': new Date(original?.publishTimeMs ?? 0).toISOString(),
      'x-original-message-id': messageId,
      ORIGIN_MESSAGE_ID: messageId,
      REAL_TOPIC: TOPIC,
    });

    for (const times of ['-1', 'NaN', '1.5', '']) {
      await test.publisher.publish(RETRY_TOPIC, { id: 2 }, { properties: { RECONSUMETIMES: times } });
      await test.clock.settle();
      expect(attempts.splice(0)).toEqual([1]);
      await test.clock.advance(10_000);
      expect(attempts.splice(0)).toEqual([2, 3]);
    }
  });

  it('gives a message back whose retry cannot be stored, counts on, and loses nothing', async () => {
    test = await startApp();
    const attempts: number[] = [];
    await test.consumers.register(OPTIONS, (_, { attempt }) => {
      attempts.push(attempt);
      if (attempt < 3) {
        throw new Error('Not yet.');
      }
    });
    let refusals = 2;
    test.transport.plan = ({ point, topic }) =>
      point === 'send' && topic === RETRY_TOPIC && refusals-- > 0 ? injectedFault(topic) : undefined;
    await test.publisher.publish('jobs', { id: 1 });
    await test.clock.advance(60_000);

    expect(attempts).toEqual([1, 2, 3]);
    expect(await read(DLQ)).toEqual([]);
    expect(test.broker.stats(TOPIC).backlog('worker')).toBe(0);
  });

  it('keeps an explicit nack there, too, with the delay that was asked for', async () => {
    test = await startApp();
    const runs: number[] = [];
    await test.consumers.register(OPTIONS, (_, { attempt }) => {
      runs.push(test.clock.monotonic());
      return attempt === 1 ? nack(5_000) : undefined;
    });
    await test.publisher.publish('jobs', { id: 1 });
    await test.clock.advance(20_000);
    expect(runs).toHaveLength(2);
    expect((runs[1] ?? 0) - (runs[0] ?? 0)).toBeGreaterThanOrEqual(5_000);
    const [letter] = await read(RETRY_TOPIC);
    expect(letter?.properties).toMatchObject({ RECONSUMETIMES: '1', DELAY_TIME: '5000' });
  });

  it('spends no attempts in an outage, and stores nothing for it', async () => {
    test = await startApp();
    let down = true;
    const attempts: number[] = [];
    await test.consumers.register({ ...OPTIONS, isOutage: () => down }, (_, { attempt }) => {
      attempts.push(attempt);
      if (down) {
        throw new Error('The database is away.');
      }
    });
    await test.publisher.publish('jobs', { id: 1 });
    await test.clock.advance(30_000);
    down = false;
    await test.clock.advance(120_000);
    expect(new Set(attempts)).toEqual(new Set([1]));
    expect(await read(RETRY_TOPIC)).toEqual([]);
  });

  it('takes no more at once than its windows on both topics together, and leaves nothing behind when it stops', async () => {
    test = await startApp();
    let running = 0;
    let most = 0;
    const consumer = await test.consumers.register({ ...OPTIONS, maxAttempts: 2 }, async (_, { attempt }) => {
      most = Math.max(most, ++running);
      await test.clock.sleep(100);
      running--;
      if (attempt === 1) {
        throw new Error('Not yet.');
      }
    });
    await Promise.all(Array.from({ length: 200 }, (_, id) => test.publisher.publish('jobs', { id })));
    await test.clock.advance(60_000);
    expect(most).toBe(4);
    expect(consumer.stats()).toMatchObject({ received: 400, acked: 400, inFlight: 0 });
    expect(test.broker.stats(RETRY_TOPIC).backlog('worker')).toBe(0);
  });

  it('refuses at start what it cannot be: an ordered type, a taken name, silence about the order', async () => {
    test = await startApp();
    const register = async (options: object): Promise<unknown> =>
      test.consumers.register({ ...OPTIONS, ...options }, () => {});
    await expect(register({ type: 'Failover', concurrency: 1 })).rejects.toThrow(/"retry.topic".*Failover/);
    await expect(register({ retry: { ...OPTIONS.retry, topic: 'jobs' } })).rejects.toThrow(/one of its own/);
    await expect(register({ retry: { mode: 'retry-topic' } })).rejects.toThrow(/given-up/);
    await expect(register({ retry: { mode: 'topic' } })).rejects.toThrow(ConfigurationError);
  });
});
