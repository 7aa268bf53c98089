import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { type AutoConcurrentPartitionedQueue, BatchRegistry, WorkerStoppedError } from '@smartpulse/batch';
import { backoffDelayMs, Random } from '@smartpulse/resilience';
import { type NotificationEntity } from '../store/notification.entity.js';
import { NotificationStore } from '../store/notification.store.js';
import { Notifier } from './notifier.js';

const MAX_ATTEMPTS = 5;
const BACKOFF = Object.freeze({ initialMs: 1_000, multiplier: 4, maxMs: 60_000, jitter: 'equal' as const });
const RECOVERY_PAGE = 500;

/** What delivery needs of the {@link NotificationStore}. */
export type PendingNotifications = Pick<NotificationStore, 'find' | 'listPending' | 'settleDelivery'>;

/**
 * Takes stored notifications to the {@link Notifier}, in order per subject, and notes how it ended. What is still pending when the app stops
 * is delivered after the next start.
 */
@Injectable()
export class NotificationDelivery implements OnApplicationBootstrap {
  readonly #logger = new Logger(NotificationDelivery.name);
  readonly #queue: AutoConcurrentPartitionedQueue<string, number>;

  constructor(
    @Inject(BatchRegistry) batches: BatchRegistry,
    @Inject(NotificationStore) private readonly store: PendingNotifications,
    @Inject(Notifier) private readonly notifier: Notifier,
    @Inject(Random) private readonly random: Random,
  ) {
    this.#queue = batches.createQueue<string, number>({
      name: 'notification-delivery',
      concurrency: 4,
      handler: (id, { attempt, signal }) => this.#deliver(id, attempt, signal),
      onError: (error, id) => {
        this.#logger.error(
          `Delivery of notification ${id} stays pending until the next start`,
          error instanceof Error ? error.stack : String(error),
        );
      },
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    let page: readonly NotificationEntity[] = [];
    do {
      page = await this.store.listPending(page.at(-1)?.id ?? 0, RECOVERY_PAGE);
      for (const pending of page) {
        await this.hand(pending);
      }
    } while (page.length === RECOVERY_PAGE);
  }

  /** Accepts a stored notification; waits while too many are on their way. */
  async hand(notification: Pick<NotificationEntity, 'id' | 'key'>): Promise<void> {
    try {
      await this.#queue.enqueue(notification.key, notification.id);
    } catch (error) {
      // It is stored as pending: the next start delivers it.
      if (!WorkerStoppedError.is(error)) {
        throw error;
      }
    }
  }

  async #deliver(id: number, attempt: number, signal: AbortSignal): Promise<{ retryAfterMs: number } | void> {
    const notification = await this.store.find(id);
    if (notification?.delivery !== 'pending') {
      return;
    }
    try {
      await this.notifier.deliver(notification, signal);
    } catch (error) {
      if (attempt < MAX_ATTEMPTS) {
        return { retryAfterMs: backoffDelayMs(BACKOFF, attempt, this.random) };
      }
      this.#logger.error(
        `Notification ${id} could not be delivered by ${this.notifier.channel} in ${attempt} attempts`,
        error instanceof Error ? error.stack : String(error),
      );
      await this.store.settleDelivery(id, 'failed');
      return;
    }
    await this.store.settleDelivery(id, 'delivered');
  }
}
