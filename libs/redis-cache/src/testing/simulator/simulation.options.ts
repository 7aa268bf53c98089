import type { FirstLevelBounds } from '../../cache/first-level.js';
import type { LocalView } from '../../cache/local-view.js';
import type { EntryProtocol } from '../../embedded/entry.protocol.js';
import type { FieldsProtocol } from '../../embedded/fields/fields.protocol.js';
import type { SequenceWatch } from '../../redis/messages/sequence-watch.js';

/** The value that the simulation caches: how often the row had become another one. */
export interface SimulatedValue {
  readonly content: number;
}

/** What may happen in a history; each number is a weight, 0 = never. */
export interface SimulationWeights {
  /** A replica commits and calls `committed()`. */
  readonly commit: number;
  /** Somebody else commits. */
  readonly foreignCommit: number;
  /** Another row moves the counter. */
  readonly otherRow: number;
  /** `getOrLoad`. */
  readonly load: number;
  /** `get`. */
  readonly read: number;
  /** `set` without a lease, of what the database held earlier. */
  readonly userSet: number;
  readonly evict: number;
  readonly expireStore: number;
  readonly expireLocal: number;
  readonly cutLine: number;
  /** A message is lost on a line that stands; what follows shows that one is missing. */
  readonly loseMessage: number;
  /** A replica ends without a word, and another one takes its place. What it has asked may still be executed. */
  readonly crash: number;
  /** Time passes, so that waiters poll. */
  readonly tick: number;
  /** The table is truncated, which moves no version; once it is noticed, the namespace is swept, by whichever replica and how often. */
  readonly truncate: number;
}

/** How a simulated history is made. */
export interface SimulationOptions {
  readonly seed: number;
  /**
   * `row`: changes refresh. `aggregate`: changes invalidate. `fields`: the key holds a hash of two rows, and changes write fields. `tagged`: the store gives the versions, and who
   * changes the source invalidates the key, a tag of it, or everything.
   */
  readonly shape: 'row' | 'aggregate' | 'fields' | 'tagged';
  /** When a loader reads its stamp: with the data, in an earlier statement, or (wrong) afterwards. Default `snapshot`. */
  readonly stamp?: 'snapshot' | 'earlier' | 'later' | undefined;
  /** Default 2. */
  readonly replicas?: number | undefined;
  /** Things that begin. Default 12. */
  readonly actions?: number | undefined;
  /** At most so many commits of the row. Default 3. */
  readonly maxCommits?: number | undefined;
  /** Share of loaders that fail. Default 0.1. */
  readonly failingLoaders?: number | undefined;
  /** Share of requests that are given up: their answer is lost, or they arrive at any later time. Default 0. */
  readonly lostAnswers?: number | undefined;
  /** Share of commits that delete the row; of rows. Default 0. */
  readonly deletes?: number | undefined;
  /** Values are loaded anew before their end; of rows, with {@link lifeMs} and {@link tickMs}. Default 0, as in the namespace. */
  readonly earlyRefresh?: number | undefined;
  /** What is old is kept for when a loader fails; of rows. Default `false`. */
  readonly failSafe?: boolean | undefined;
  /** With {@link failSafe}: who has waited so long, milliseconds, is shown what is kept. Default 0, as in the namespace. */
  readonly staleAfterMs?: number | undefined;
  /** Life in both levels, milliseconds; of rows. Default: longer than any history. */
  readonly lifeMs?: number | undefined;
  /** How much time passes in a tick, milliseconds. Default 50. */
  readonly tickMs?: number | undefined;
  /** When a loader tags what it reads: before it reads, or (wrong) afterwards; in `tagged`. Default `before`. */
  readonly tags?: 'before' | 'after' | undefined;
  /** Share of messages that arrive twice. Default 0. */
  readonly duplicates?: number | undefined;
  readonly weights?: Partial<SimulationWeights> | undefined;
  /** The rules of a key in the store; a twin may lack one. */
  readonly protocol?: EntryProtocol | undefined;
  /** The rules of a hash in the store; a twin may lack one. */
  readonly fieldsProtocol?: FieldsProtocol | undefined;
  /** The rules of a replica of values; a twin may lack one. */
  readonly view?: ((bounds: FirstLevelBounds) => LocalView<SimulatedValue>) | undefined;
  /** What decides on a replica that a message is missing; a twin may lack a rule. */
  readonly watch?: (() => SequenceWatch) | undefined;
  /** Through which replica `committed()` invalidates; `another` = the writer itself learns of it by the message only. Default `writer`. */
  readonly committedThrough?: 'writer' | 'another' | undefined;
  /** Whether the backplane announces a lost connection. Default `true`. */
  readonly announcesLoss?: boolean | undefined;
}

/** How often what happens by default. */
export const SIMULATION_WEIGHTS: SimulationWeights = Object.freeze({
  commit: 3,
  foreignCommit: 1,
  otherRow: 1,
  load: 8,
  read: 4,
  userSet: 1,
  evict: 0.5,
  expireStore: 2,
  expireLocal: 2,
  cutLine: 0.5,
  loseMessage: 0,
  crash: 0,
  tick: 1,
  truncate: 0,
});

/**
 * The promises of the cache. I1: on a trusted replica a read returns at least everything shown there before it began. I2: a stored value is
 * never replaced by a lower stamp, and its content is not below its stamp. I3: at quiet every entry has the latest content, with nothing healed by
 * expiry. I4: a read begun after `committed()` returned shows at least that commit. I5: at quiet a read gets the latest content. I6: one loader
 * run per lease.
 * I7: a read begun after `committed()` returned falls back on no less than that commit, be it that the load fails or that it takes too long.
 *
 * In `tagged` a replica also promises by what it hears: a read begun after it heard of an invalidation shows nothing from before.
 */
export type Invariant = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7';

/** A promise that did not hold. */
export interface Violation {
  readonly invariant: Invariant;
  readonly detail: string;
}

/** What became of a history. */
export interface SimulationResult {
  readonly violations: readonly Violation[];
  /** Every step, in order. */
  readonly history: readonly string[];
  readonly steps: number;
  readonly reads: number;
  readonly staleAnswers: number;
  readonly loaderRuns: number;
  readonly refusedSets: number;
  readonly earlyRefreshes: number;
  readonly failSafes: number;
  /** Readers that were shown what is kept while a load went on. */
  readonly impatient: number;
  readonly negativeHits: number;
}
