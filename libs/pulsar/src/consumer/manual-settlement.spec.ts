import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startApp, type TestApp } from '../testing/test-app.js';
import type { ConsumerOptions, MessageHandler, PulsarConsumerHandle } from './consumer-options.js';
import type { PulsarContext } from './pulsar-context.js';

const TOPIC = 'persistent://public/default/jobs';
const OPTIONS = {
  topic: 'jobs',
  subscription: 'worker',
  initialPosition: 'earliest',
  ack: 'manual',
  concurrency: 4,
  maxAttempts: 2,
  timeoutMs: 10_000,
  backoff: { initialMs: 1_000, jitter: 'none' },
} as const satisfies ConsumerOptions<unknown>;

describe('a handler that settles its messages itself', () => {
  let test: TestApp;
  let held: PulsarContext[];

  beforeEach(async () => {
    test = await startApp();
    held = [];
  });
  afterEach(async () => {
    await test.close();
    expect(test.clock.pendingTimers).toBe(0);
  });

  const hold: MessageHandler<unknown> = (_, context) => void held.push(context);
  const register = (handler = hold, options: object = {}): Promise<PulsarConsumerHandle> =>
    test.consumers.register({ ...OPTIONS, ...options }, handler);
  const publish = async (id: number, key?: string): Promise<void> => {
    await test.publisher.publish('jobs', { id }, key === undefined ? {} : { key });
    await test.clock.settle();
  };
  const backlog = (): number => test.broker.stats(TOPIC).backlog('worker');

  it('acknowledges when it says so, also long after it returned, and not when it returns', async () => {
    const consumer = await register();
    await publish(1);
    await test.clock.advance(5_000);
    expect(backlog()).toBe(1);
    expect(consumer.stats()).toMatchObject({ inFlight: 1, acked: 0 });
    held[0]?.ack();
    await test.clock.settle();
    expect(backlog()).toBe(0);
    expect(consumer.stats()).toMatchObject({ inFlight: 0, acked: 1 });
  });

  it('holds the lane of the key until it has, and no other', async () => {
    await register();
    await publish(1, 'a');
    await publish(2, 'a');
    await publish(3, 'b');
    expect(held.map(({ key }) => key)).toEqual(['a', 'b']);
    held[0]?.ack();
    await test.clock.settle();
    expect(held.map(({ key }) => key)).toEqual(['a', 'b', 'a']);
    held.slice(1).forEach((context) => context.ack());
  });

  it('gives back and dead-letters, with what it says', async () => {
    const consumer = await register();
    await publish(1);
    await publish(2);
    held[0]?.nack(3_000);
    held[1]?.deadLetter('it is of no use');
    await test.clock.advance(2_000);
    expect(consumer.stats()).toMatchObject({ nacked: 1, deadLettered: 1 });
    expect(held).toHaveLength(2);
    await test.clock.advance(2_000);
    expect(held).toHaveLength(3);
    expect(held[2]?.attempt).toBe(2);
    held[2]?.ack();
  });

  it('has failed when it says nothing in its time, and cannot say it later', async () => {
    const consumer = await register();
    await publish(1);
    await test.clock.advance(12_000);
    expect(held).toHaveLength(2);
    expect(consumer.stats()).toMatchObject({ failed: 1, retried: 1 });
    expect(() => held[0]?.ack()).toThrow(/run is over.*timeoutMs/);
    held[1]?.ack();
    await test.clock.settle();
    expect(consumer.stats()).toMatchObject({ acked: 1, inFlight: 0 });
  });

  it('has failed when it throws before, and has not when it throws after', async () => {
    let runs = 0;
    const consumer = await register((_, context) => {
      runs++;
      if (runs === 2) {
        context.ack();
      }
      throw new Error('It went wrong.');
    });
    await publish(1);
    await test.clock.advance(5_000);
    expect(runs).toBe(2);
    expect(consumer.stats()).toMatchObject({ failed: 1, acked: 1, deadLettered: 0 });
  });

  it('is waited for by a stop, which gives back what stays unsettled', async () => {
    await register();
    await publish(1);
    const closing = test.app.close();
    await test.clock.advance(1_000);
    held[0]?.ack();
    await test.clock.advance(120_000);
    await closing;
    expect(backlog()).toBe(0);
  });

  it('is told when it settles twice, when it need not, and when it cannot', async () => {
    await register();
    await publish(1);
    held[0]?.ack();
    expect(() => held[0]?.nack()).toThrow(/settled already \(ack\)/);
    expect(() => held[0]?.nack(-1)).toThrow(/no delay/);
    await register((_, context) => void held.push(context), { subscription: 'auto', ack: 'auto' });
    await test.clock.settle();
    expect(() => held[1]?.ack()).toThrow(/Set ack: 'manual'/);
    await expect(register(hold, { batch: {} })).rejects.toThrow(/BatchItemsFailed/);
    await expect(register(hold, { ack: 'never' })).rejects.toThrow(/expected auto or manual/);
  });
});
