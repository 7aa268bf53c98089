import { SeededRandom } from '@smartpulse/resilience/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConsumerOptions } from '../consumer/consumer-options.js';
import { deadLetter, nack } from '../consumer/settlement.js';
import { injectedFault } from '../testing/fault-injecting.transport.js';
import { startApp, type TestApp } from '../testing/test-app.js';
import { type DedupeClaim, DedupeStore } from './dedupe.store.js';
import { MemoryDedupeStore } from './memory.dedupe-store.js';

const TOPIC = 'persistent://public/default/jobs';

/** A store that can be away. */
class UnreliableStore extends DedupeStore {
  readonly durable = false;
  readonly shared = false;
  away: readonly ('claim' | 'complete' | 'release')[] = [];

  constructor(private readonly store: DedupeStore) {
    super();
  }

  override async claim(key: string, claimMs: number): Promise<DedupeClaim> {
    this.#check('claim');
    return this.store.claim(key, claimMs);
  }

  override async complete(key: string, token: string, ttlMs: number): Promise<boolean> {
    this.#check('complete');
    return this.store.complete(key, token, ttlMs);
  }

  override async release(key: string, token: string): Promise<void> {
    this.#check('release');
    await this.store.release(key, token);
  }

  #check(call: 'claim' | 'complete' | 'release'): void {
    if (this.away.includes(call)) {
      throw new Error('The database is away.');
    }
  }
}

describe('an idempotent consumer', () => {
  let test: TestApp;
  let store: UnreliableStore;
  let runs: number[];

  beforeEach(async () => {
    test = await startApp();
    store = new UnreliableStore(new MemoryDedupeStore({ clock: test.clock, random: new SeededRandom() }));
    runs = [];
  });
  afterEach(async () => {
    await test.close();
    expect(test.clock.pendingTimers).toBe(0);
  });

  const options = (): ConsumerOptions<{ id: number }> => ({
    topic: 'jobs',
    subscription: 'worker',
    initialPosition: 'earliest',
    concurrency: 4,
    maxAttempts: 3,
    dedupe: { store },
    backoff: { initialMs: 1_000, jitter: 'none' },
  });

  it('handles once what is published twice under one idempotency key, and counts the other', async () => {
    const consumer = await test.consumers.register(options(), ({ id }) => void runs.push(id));
    await test.publisher.publish('jobs', { id: 1 }, { idempotencyKey: 'order-1' });
    await test.publisher.publish('jobs', { id: 1 }, { idempotencyKey: 'order-1' });
    await test.publisher.publish('jobs', { id: 2 }, { idempotencyKey: 'order-2' });
    await test.clock.advance(10_000);
    expect(runs.toSorted((a, b) => a - b)).toEqual([1, 2]);
    expect(consumer.stats()).toMatchObject({ received: expect.any(Number) as number, duplicates: 1, inFlight: 0 });
    expect(test.broker.stats(TOPIC).backlog('worker')).toBe(0);
  });

  it('handles once what is delivered twice because its acknowledgement was lost', async () => {
    const consumer = await test.consumers.register(options(), ({ id }) => void runs.push(id));
    let refusals = 1;
    test.transport.plan = ({ point, topic }) =>
      point === 'ack' && topic === TOPIC && refusals-- > 0 ? injectedFault(topic, { kind: 'permanent' }) : undefined;
    await test.publisher.publish('jobs', { id: 1 });
    await test.clock.settle();
    await test.transport.dropConsumers();
    await test.clock.advance(60_000);
    expect(runs).toEqual([1]);
    expect(consumer.stats()).toMatchObject({ duplicates: 1, unsettled: 1 });
  });

  it('handles again what failed or was given back, and forgets what it remembered when its time is over', async () => {
    await test.consumers.register({ ...options(), dedupe: { store, ttlMs: 60_000 } }, ({ id }, { attempt }) => {
      runs.push(id);
      if (attempt === 1) {
        throw new Error('Not yet.');
      }
      return attempt === 2 ? nack(100) : undefined;
    });
    await test.publisher.publish('jobs', { id: 1 }, { idempotencyKey: 'k' });
    await test.clock.advance(10_000);
    expect(runs.splice(0)).toEqual([1, 1, 1]);
    await test.publisher.publish('jobs', { id: 1 }, { idempotencyKey: 'k' });
    await test.clock.advance(10_000);
    expect(runs).toEqual([]);
    await test.clock.advance(60_000);
    await test.publisher.publish('jobs', { id: 1 }, { idempotencyKey: 'k' });
    await test.clock.advance(10_000);
    expect(runs).toHaveLength(3);
  });

  it('spends no attempt on what another one handles at the moment', async () => {
    let release = (): void => {};
    const attempts: number[] = [];
    await test.consumers.register(options(), async (_, { attempt }) => {
      attempts.push(attempt);
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    });
    await test.publisher.publish('jobs', { id: 1 }, { idempotencyKey: 'k' });
    await test.clock.settle();
    await test.publisher.publish('jobs', { id: 1 }, { idempotencyKey: 'k' });
    await test.clock.advance(20_000);
    expect(attempts).toEqual([1]);
    release();
    await test.clock.advance(10_000);
    expect(attempts).toEqual([1]);
    expect(test.broker.stats(TOPIC).backlog('worker')).toBe(0);
  });

  it('takes a store that does not answer for an outage: no attempt is spent, nothing is handled twice, nothing is lost', async () => {
    const attempts: number[] = [];
    await test.consumers.register(options(), ({ id }, { attempt }) => {
      runs.push(id);
      attempts.push(attempt);
    });
    store.away = ['claim'];
    await test.publisher.publish('jobs', { id: 1 });
    await test.clock.advance(60_000);
    expect(runs).toEqual([]);
    store.away = ['complete'];
    await test.clock.advance(120_000);
    expect(runs).toEqual([1]);
    store.away = [];
    await test.clock.advance(120_000);
    expect(runs).toEqual([1]);
    expect(attempts).toEqual([1]);
    expect(test.broker.stats(TOPIC).backlog('worker')).toBe(0);
  });

  it('counts no message as handled whose dead letter could not be stored: it comes again, and its letter is stored once', async () => {
    const consumer = await test.consumers.register(options(), ({ id }) => {
      runs.push(id);
      return deadLetter('it is of no use');
    });
    let refusals = 2;
    test.transport.plan = ({ point, topic }) =>
      point === 'send' && topic.endsWith('-DLQ') && refusals-- > 0 ? injectedFault(topic) : undefined;
    await test.publisher.publish('jobs', { id: 1 });
    await test.clock.advance(120_000);
    expect(consumer.stats()).toMatchObject({ deadLettered: 1, duplicates: 0 });
    expect(test.broker.stats(`${TOPIC}-worker-DLQ`).messages).toBe(1);
    expect(test.broker.stats(TOPIC).backlog('worker')).toBe(0);
  });

  it('lets two subscriptions handle a message once each', async () => {
    for (const subscription of ['one', 'two']) {
      await test.consumers.register({ ...options(), subscription }, ({ id }) => void runs.push(id));
    }
    await test.publisher.publish('jobs', { id: 1 }, { idempotencyKey: 'k' });
    await test.clock.advance(10_000);
    expect(runs).toEqual([1, 1]);
  });

  it('remembers a bounded number of keys, and refuses at start what is no store', async () => {
    const small = new MemoryDedupeStore({ clock: test.clock, random: new SeededRandom(), maxKeys: 10 });
    for (let key = 0; key < 100; key++) {
      await small.claim(String(key), 60_000);
    }
    expect(small.size).toBe(10);
    const wrong = { ...options(), dedupe: { store: {} } } as ConsumerOptions<unknown>;
    await expect(test.consumers.register(wrong, () => {})).rejects.toThrow(/DedupeStore/);
  });
});
