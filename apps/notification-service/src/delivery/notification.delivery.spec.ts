import { BatchRegistry } from '@smartpulse/batch';
import { type ShutdownTask } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { type DeliveryState, type NotificationEntity } from '../store/notification.entity.js';
import { NotificationDelivery, type PendingNotifications } from './notification.delivery.js';
import { type DeliverableNotification, Notifier } from './notifier.js';

function notification(id: number, key = 'FinalForecast/PP/7', delivery: DeliveryState = 'pending'): NotificationEntity {
  return {
    id,
    rule: 'interval-missing',
    key,
    stamp: String(id),
    title: `title ${id}`,
    description: 'description',
    status: 'new',
    delivery,
    createdAt: '2026-01-31T00:00:00.000Z',
    seenAt: null,
  };
}

class MemoryNotifications implements PendingNotifications {
  constructor(private readonly rows: readonly NotificationEntity[]) {}

  find(id: number): Promise<NotificationEntity | null> {
    return Promise.resolve(this.rows.find((row) => row.id === id) ?? null);
  }

  listPending(after: number, limit: number): Promise<NotificationEntity[]> {
    return Promise.resolve(this.rows.filter((row) => row.id > after && row.delivery === 'pending').slice(0, limit));
  }

  async settleDelivery(id: number, delivery: 'delivered' | 'failed'): Promise<void> {
    const row = await this.find(id);
    if (row !== null) {
      row.delivery = delivery;
    }
  }

  get states(): readonly string[] {
    return this.rows.map(({ delivery }) => delivery);
  }
}

class FlakyNotifier extends Notifier {
  override readonly channel = 'flaky';
  readonly attempts: number[] = [];
  readonly failures = new Map<number, number>();

  override deliver({ id }: DeliverableNotification): Promise<void> {
    this.attempts.push(id);
    const left = this.failures.get(id) ?? 0;
    this.failures.set(id, left - 1);
    return left > 0 ? Promise.reject(new Error('The other side is away.')) : Promise.resolve();
  }
}

function setUp(rows: readonly NotificationEntity[]) {
  const clock = new VirtualClock();
  const random = new SeededRandom();
  const tasks: ShutdownTask[] = [];
  const batches = new BatchRegistry(
    { clock, random },
    {
      register: (task) => {
        tasks.push(task);
        return () => undefined;
      },
    },
  );
  const store = new MemoryNotifications(rows);
  const notifier = new FlakyNotifier();
  const delivery = new NotificationDelivery(batches, store, notifier, random);
  const stop = async (): Promise<void> => {
    for (const task of tasks) {
      await task.stop({ signal: new AbortController().signal, timeoutMs: 1_000 });
    }
  };
  return { clock, store, notifier, delivery, stop };
}

describe('NotificationDelivery', () => {
  it('delivers what is handed over and notes it', async () => {
    const rows = [notification(1)];
    const { clock, store, notifier, delivery } = setUp(rows);
    await delivery.hand(notification(1));
    await clock.settle();
    expect(notifier.attempts).toEqual([1]);
    expect(store.states).toEqual(['delivered']);
  });

  it('tries again after a pause and keeps the order of a subject meanwhile, while other subjects go on', async () => {
    const rows = [notification(1), notification(2), notification(3, 'FinalForecast/PP/8')];
    const { clock, store, notifier, delivery } = setUp(rows);
    notifier.failures.set(1, 2);
    for (const row of rows) {
      await delivery.hand(row);
    }
    await clock.settle();
    expect(notifier.attempts).toEqual([1, 3]);

    await clock.until(() => store.states.every((state) => state === 'delivered'));
    expect(notifier.attempts).toEqual([1, 3, 1, 1, 2]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives up after five attempts and says so in the row', async () => {
    const { clock, store, notifier, delivery } = setUp([notification(1)]);
    notifier.failures.set(1, 99);
    await delivery.hand(notification(1));
    await clock.until(() => store.states[0] !== 'pending');
    expect(store.states).toEqual(['failed']);
    expect(notifier.attempts).toHaveLength(5);
  });

  it('delivers after a start what was pending when the app stopped, and nothing that was delivered', async () => {
    const rows = [notification(1, 'a', 'delivered'), notification(2), notification(3, 'b', 'failed')];
    const { clock, notifier, delivery } = setUp(rows);
    await delivery.onApplicationBootstrap();
    await clock.settle();
    expect(notifier.attempts).toEqual([2]);
  });

  it('leaves to the next start what comes while the app stops', async () => {
    const { clock, store, notifier, delivery, stop } = setUp([notification(1)]);
    const stopped = stop();
    await clock.settle();
    await delivery.hand(notification(1));
    await stopped;
    expect(notifier.attempts).toEqual([]);
    expect(store.states).toEqual(['pending']);
    expect(clock.pendingTimers).toBe(0);
  });
});
