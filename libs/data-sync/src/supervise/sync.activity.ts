import type { ChangeTracker } from '@smartpulse/cdc';
import type { PulsarConsumerHandle } from '@smartpulse/pulsar';
import type { ChangeApplier } from '../apply/change.applier.js';
import type { SyncDefinition } from '../definition/sync-definition.js';
import type { ChangeFeed } from '../on-change/change-feed.js';
import type { OutboxRelay } from '../outbox/outbox-relay.change.sink.js';
import type { ChangePublisher } from '../publish/publisher.change.sink.js';
import type { DataSyncStats } from './data-sync.stats.js';

/** A subscription of this app: asked for, standing, or refused. */
export type SubscriptionState =
  | { readonly kind: 'asked' }
  | { readonly kind: 'standing'; readonly handle: PulsarConsumerHandle }
  | { readonly kind: 'refused'; readonly error: Error };

/** A subscription and how it came out. */
export class FeedSubscription {
  #state: SubscriptionState = { kind: 'asked' };

  constructor(
    /** The subscription's name. */
    readonly name: string,
    readonly topic: string,
  ) {}

  get state(): SubscriptionState {
    return this.#state;
  }

  stands(handle: PulsarConsumerHandle): void {
    this.#state = { kind: 'standing', handle };
  }

  refused(error: Error): void {
    this.#state = { kind: 'refused', error };
  }
}

/** The working parts of one sync in this app. */
export interface SyncWorkers {
  readonly sync: SyncDefinition;
  readonly publish: { readonly publisher: ChangePublisher; readonly tracker: ChangeTracker } | undefined;
  readonly apply: { readonly applier: ChangeApplier; readonly subscription: FeedSubscription } | undefined;
}

/** An outbox at work. */
export interface OutboxWorkers {
  readonly table: string;
  readonly relay: OutboxRelay;
  readonly tracker: ChangeTracker;
}

/** A change handler at work. */
export interface HandlerWorkers {
  readonly contract: string;
  readonly feed: ChangeFeed;
  readonly subscription: FeedSubscription;
}

/** Everything of this library that is at work in an app: what statistics, health and metrics are read from. */
export class SyncActivity {
  readonly syncs: SyncWorkers[] = [];
  readonly outboxes: OutboxWorkers[] = [];
  readonly handlers: HandlerWorkers[] = [];

  /** All subscriptions. */
  subscriptions(): readonly FeedSubscription[] {
    return [
      ...this.syncs.flatMap(({ apply }) => (apply === undefined ? [] : [apply.subscription])),
      ...this.handlers.map(({ subscription }) => subscription),
    ];
  }

  /** All trackers. */
  trackers(): readonly ChangeTracker[] {
    return [
      ...this.syncs.flatMap(({ publish }) => (publish === undefined ? [] : [publish.tracker])),
      ...this.outboxes.map(({ tracker }) => tracker),
    ];
  }

  stats(): DataSyncStats {
    return {
      syncs: this.syncs.map(({ sync, publish, apply }) => ({
        name: sync.contract.name,
        table: sync.table,
        cache: sync.cache,
        publish: publish?.publisher.stats,
        apply: apply?.applier.stats,
        lag: apply?.applier.lag,
      })),
      handlers: this.handlers.map(({ contract, feed, subscription }) => ({
        contract,
        subscription: subscription.name,
        ...feed.stats,
      })),
      outboxes: this.outboxes.map(({ table, relay }) => ({ table, ...relay.stats })),
    };
  }
}
