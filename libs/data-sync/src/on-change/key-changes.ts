import type { ChangeOperation, ChangeVersion, ResyncReason } from '@smartpulse/cdc';
import type { PulsarContext } from '@smartpulse/pulsar';
import type { WireKey } from '../definition/change-contract.js';

/** One row's net change, as a handler gets it. */
export interface KeyChange<Row extends object = object, Pk extends WireKey = WireKey> {
  readonly pk: Pk;
  /** `snapshot` = found by a bootstrap or resync; only with `snapshots: true`. */
  readonly op: ChangeOperation;
  /** This change's own stamp. Never below the one handled before for this primary key by this process. */
  readonly version: ChangeVersion;
  /** Names of the changed columns; `null` = unknown or all. */
  readonly columns: readonly string[] | null;
  /** What the contract's schema made of the row; `null` for `delete`, and when the message was too large to carry rows. */
  readonly row: Row | null;
}

/** The changes of one key, as an `@OnChange` handler gets them. Never empty. */
export interface KeyChanges<Row extends object = object, Pk extends WireKey = WireKey> {
  /** What the owner's key function makes of the primary keys: changes of one key arrive in order. */
  readonly key: string;
  /** Names the database. */
  readonly source: string;
  readonly table: string;
  /** The highest stamp of `changes`. */
  readonly stamp: ChangeVersion;
  readonly changes: readonly KeyChange<Row, Pk>[];
  /** `true`: too large for the broker, so rows are missing: read them from the owner. */
  readonly keysOnly: boolean;
  /** Who wrote, where all changes agree and the source can tell. */
  readonly origin: string | null;
  /** The trace in which they were written (W3C's `traceparent`), where it is one and the source can tell: for a span's link. */
  readonly traceparent: string | null;
  /** Commit time of the latest change, UTC text; `null` where the source cannot tell. */
  readonly committedAt: string | null;
  /** The message: attempt, properties, and the signal that aborts when the handler's time is up. */
  readonly context: PulsarContext;
}

/**
 * The owner reads its table anew, as an `@OnResync` handler gets it: `started` before the first snapshot row, `completed` after the last.
 * Rows deleted while nobody watched are told in no other way.
 */
export interface FeedResync {
  readonly source: string;
  readonly table: string;
  readonly state: 'started' | 'completed';
  /** Why; a newer owner may know reasons that this reader does not. */
  readonly reason: ResyncReason | (string & {});
  /** `started`: where the scan began. `completed`: the feed is whole up to here. */
  readonly stamp: ChangeVersion;
  readonly context: PulsarContext;
}
