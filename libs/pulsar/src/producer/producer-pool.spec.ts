import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { PulsarError } from '../pulsar.errors.js';
import type { MessageId, TransportProducer, TransportProducerOptions } from '../transport/pulsar.transport.js';
import { ProducerPool, type ProducerProfile } from './producer-pool.js';

const profile: ProducerProfile = {
  batching: { enabled: false, maxMessages: 1, maxBytes: 1, maxDelayMs: 0 },
  maxPendingMessages: 1,
  maxPendingBytes: 1,
  compression: 'none',
  sendTimeoutMs: 0,
};

class RecordedProducer implements TransportProducer {
  readonly pending = 0;
  constructor(
    readonly topic: string,
    readonly log: string[],
  ) {}
  send(): Promise<MessageId> {
    return Promise.resolve({ toString: () => 'id' });
  }
  async flush(): Promise<void> {
    this.log.push(`flush ${this.topic}`);
  }
  async close(): Promise<void> {
    this.log.push(`close ${this.topic}`);
  }
}

function poolOf(max: number, idleMs = 1_000, maxUses = 1_000) {
  const clock = new VirtualClock();
  const log: string[] = [];
  const pool = new ProducerPool({
    max,
    maxUses: () => maxUses,
    idleMs,
    clock,
    random: new SeededRandom(),
    create: async ({ topic }: TransportProducerOptions) => {
      log.push(`create ${topic}`);
      if (topic === 'unreachable') {
        throw new Error(`${topic} cannot be reached`);
      }
      return new RecordedProducer(topic, log);
    },
    onCloseFailed: (topic) => void log.push(`failed ${topic}`),
  });
  const use = async (topic: string, until?: Promise<void>, one = profile) => {
    const lease = pool.lease(topic, one);
    try {
      await (lease.producer ?? lease.creating);
      await until;
    } finally {
      pool.release(lease);
    }
  };
  return { clock, log, pool, use };
}

describe('ProducerPool', () => {
  it('closes the producer unused longest when it is full', async () => {
    const { log, pool, use } = poolOf(2);
    await use('a');
    await use('b');
    await use('a');
    await use('c');
    await pool.flush('c');
    expect(log).toEqual(['create a', 'create b', 'create c', 'close b', 'flush c']);
    await pool.close();
  });

  it('never closes one in use: a full pool refuses with backpressure instead', async () => {
    const { log, pool, use } = poolOf(1);
    let finish = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const first = use('a', held);
    const refused = use('b');
    await expect(refused).rejects.toSatisfy((error) => PulsarError.is(error) && error.kind === 'backpressure');
    expect(log).toEqual(['create a']);
    finish();
    await first;
    await use('b');
    expect(log).toEqual(['create a', 'create b', 'close a']);
    await pool.close();
  });

  it('closes producers that were idle for so long, not those in use', async () => {
    const { clock, log, pool, use } = poolOf(10, 1_000);
    await use('a');
    await clock.advance(600);
    const busy = use('b', clock.sleep(5_000));
    await clock.advance(1_500);
    expect(log).toEqual(['create a', 'create b', 'close a']);
    await clock.advance(10_000);
    await busy;
    expect(log.at(-1)).toBe('close b');
    expect([pool.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  it('keeps producers of different options apart, those of the same options together', async () => {
    const { log, pool, use } = poolOf(10);
    await use('a');
    await use('a', undefined, { ...profile });
    await use('a', undefined, { ...profile, compression: 'lz4' });
    expect(log).toEqual(['create a', 'create a']);
    await pool.close();
  });

  it('refuses with backpressure when one producer has all the uses that it may have', async () => {
    const { clock, pool, use } = poolOf(10, 1_000, 2);
    const first = [use('a', clock.sleep(10)), use('a', clock.sleep(10))];
    await expect(use('a')).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_SENDS_FULL', kind: 'backpressure' });
    await use('b');
    await clock.advance(10);
    await Promise.all(first);
    await use('a');
    expect(pool.pending).toBe(0);
    await pool.close();
  });

  it('flushes the others when one cannot be created', async () => {
    const { clock, log, pool, use } = poolOf(10);
    await use('a');
    const failing = use('unreachable');
    await pool.flush();
    expect(log).toEqual(['create a', 'create unreachable', 'flush a']);
    await expect(failing).rejects.toThrow('unreachable');
    await pool.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuses after close and leaves no timer', async () => {
    const { clock, log, pool, use } = poolOf(10);
    await use('a');
    await pool.close();
    await pool.close();
    await expect(use('a')).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CLOSED' });
    expect(log).toEqual(['create a', 'close a']);
    expect(clock.pendingTimers).toBe(0);
  });
});
