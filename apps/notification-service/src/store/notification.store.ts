import { Inject, Injectable } from '@nestjs/common';
import { Clock } from '@smartpulse/resilience';
import { DataSource, type EntityManager, LessThan, LessThanOrEqual, MoreThan } from 'typeorm';
import { type NotificationDraft } from '../rules/notification-draft.js';
import { type DeliveryState, NotificationEntity } from './notification.entity.js';

/** The app keeps this many notifications; the oldest go first, read or not. */
export const MAX_NOTIFICATIONS = 100_000;

const PRUNE_EVERY = 100;

/** Which page of the list. */
export interface NotificationPage {
  readonly limit: number;
  /** Only notifications below this id; `undefined` = from the newest. */
  readonly before: number | undefined;
  readonly status: NotificationEntity['status'] | undefined;
}

/** The notifications of the app. */
@Injectable()
export class NotificationStore {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(Clock) private readonly clock: Clock,
  ) {}

  /**
   * Stores a notification within the caller's transaction.
   *
   * @returns `undefined` when (rule, key, stamp) is stored already.
   */
  async add(manager: EntityManager, draft: NotificationDraft): Promise<NotificationEntity | undefined> {
    const { rule, key, stamp } = draft;
    if (await manager.existsBy(NotificationEntity, { rule, key, stamp })) {
      return undefined;
    }
    const added = await manager.save(
      manager.create(NotificationEntity, {
        rule,
        key,
        stamp,
        title: draft.title.slice(0, 120),
        description: draft.description.slice(0, 400),
        status: 'new',
        delivery: 'pending',
        createdAt: new Date(this.clock.now()).toISOString(),
        seenAt: null,
      }),
    );
    if (added.id % PRUNE_EVERY === 0) {
      await manager.delete(NotificationEntity, { id: LessThanOrEqual(added.id - MAX_NOTIFICATIONS) });
    }
    return added;
  }

  /** The newest first. */
  list({ limit, before, status }: NotificationPage): Promise<NotificationEntity[]> {
    return this.dataSource.manager.find(NotificationEntity, {
      where: { ...(before === undefined ? {} : { id: LessThan(before) }), ...(status === undefined ? {} : { status }) },
      order: { id: 'DESC' },
      take: limit,
    });
  }

  /** Derived from the rows at every call, so it cannot drift. */
  countUnread(): Promise<number> {
    return this.dataSource.manager.countBy(NotificationEntity, { status: 'new' });
  }

  /** @returns `false` when there is no such notification. Reading twice keeps the first time. */
  async markRead(id: number): Promise<boolean> {
    await this.dataSource.manager.update(NotificationEntity, { id, status: 'new' }, this.#seen());
    return this.dataSource.manager.existsBy(NotificationEntity, { id });
  }

  /** Marks everything up to and including `upTo`: what the reader has seen in a list, not what came since. */
  async markAllRead(upTo: number): Promise<void> {
    await this.dataSource.manager.update(
      NotificationEntity,
      { id: LessThanOrEqual(upTo), status: 'new' },
      this.#seen(),
    );
  }

  find(id: number): Promise<NotificationEntity | null> {
    return this.dataSource.manager.findOneBy(NotificationEntity, { id });
  }

  /** Notifications that are not delivered yet, oldest first, above an id. */
  listPending(after: number, limit: number): Promise<NotificationEntity[]> {
    return this.dataSource.manager.find(NotificationEntity, {
      where: { delivery: 'pending', id: MoreThan(after) },
      order: { id: 'ASC' },
      take: limit,
    });
  }

  /** Says how a delivery ended. */
  async settleDelivery(id: number, delivery: Exclude<DeliveryState, 'pending'>): Promise<void> {
    await this.dataSource.manager.update(NotificationEntity, { id }, { delivery });
  }

  #seen(): Pick<NotificationEntity, 'status' | 'seenAt'> {
    return { status: 'seen', seenAt: new Date(this.clock.now()).toISOString() };
  }
}
