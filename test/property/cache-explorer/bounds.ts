import type { CacheRule, FieldRule } from '@smartpulse/redis-cache/testing';

type Reader = 'get' | 'load' | 'join';

/** What may happen in a search, and how often; everything else happens whenever it can. */
export interface Bounds {
  /** `row`: changes refresh. `aggregate`: changes invalidate. `fields`: the key is a hash of two rows, and changes write fields; at most 2 commits. */
  readonly shape: 'row' | 'aggregate' | 'fields';
  /** In shape `fields`: the rows that are committed, in turn. Default both. */
  readonly rows?: 'one' | 'both';
  /** When a loader reads its stamp: with the data, or in an earlier statement. Default `snapshot`. */
  readonly stamp?: 'snapshot' | 'earlier';
  /** Commits of the row, each with a change that is delivered at any time, as often as you like, in any order. At most 3. */
  readonly commits: number;
  /** Commits of the first replica, which calls `committed()`, beside those of somebody else. */
  readonly writer?: boolean;
  /** Calls at once on each of the two replicas, again and again. `join`: a load that begins while one runs for which others did not wait. */
  readonly readers: readonly [readonly Reader[], readonly Reader[]];
  /** Times that the store's key ends its life. The first level forgets at any time. */
  readonly expiries?: number;
  readonly evictions?: number;
  /** Times that the life of what a first level holds ends: it is kept for those who do not wait for the load that follows, which they do for no longer than a while (`staleAfterMs`). */
  readonly ages?: number;
  /** Sets without a lease, of what the database held when they began. */
  readonly sets?: number;
  /** Loaders that throw. */
  readonly failures?: number;
  /** Times that the line of a replica is cut and mended. */
  readonly cuts?: number;
  /** Requests whose answer does not come in time; they may still execute, at any later time. */
  readonly timeouts?: number;
  /** The commit that deletes the row; the next one creates it again. */
  readonly deletedBy?: number;
  /** The commit at which the database is restored: its counter begins anew in the next epoch. */
  readonly restoredBy?: number;
  /** A rule that the cache lacks. */
  readonly without?: CacheRule;
  /** In shape `fields`: a rule that hashes lack. */
  readonly withoutField?: FieldRule;
}

/** What a search found. */
export interface Found {
  readonly states: number;
  readonly transitions: number;
  readonly depth: number;
  /** States of one replica and of the server, found by running the real code. */
  readonly replicaStates: number;
  readonly serverStates: number;
  readonly runs: number;
  /** The search did not end within its bound. */
  readonly cut: boolean;
  /** The shortest story that breaks a promise. */
  readonly broken: { readonly invariant: string; readonly story: readonly string[] } | undefined;
  /** States from which no rest with the latest value can be reached; only where it was asked for. */
  readonly lost: number | undefined;
}
