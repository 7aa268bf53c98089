import type { ApplyStats } from '../apply/apply.stats.js';
import type { ChangeFeedStats } from '../on-change/change-feed.stats.js';
import type { OutboxStats } from '../outbox/outbox-relay.change.sink.js';
import type { PublishStats } from '../publish/publish.stats.js';
import type { LagSnapshot } from './lag.histogram.js';

/** One sync of an app in numbers. */
export interface SyncStats {
  readonly name: string;
  readonly table: string;
  readonly cache: string;
  /** `undefined` without the role `publish`. */
  readonly publish: PublishStats | undefined;
  /** `undefined` without the role `apply`. */
  readonly apply: ApplyStats | undefined;
  /** Commit to cache; `undefined` without the role `apply`. */
  readonly lag: LagSnapshot | undefined;
}

/** One `@OnChange` handler in numbers. */
export interface HandlerStats extends ChangeFeedStats {
  /** The contract's name. */
  readonly contract: string;
  readonly subscription: string;
}

/** One outbox in numbers. */
export interface OutboxRelayStats extends OutboxStats {
  readonly table: string;
}

/** Everything that the data synchronisation of an app has counted since it began. */
export interface DataSyncStats {
  readonly syncs: readonly SyncStats[];
  readonly handlers: readonly HandlerStats[];
  readonly outboxes: readonly OutboxRelayStats[];
}
