import type { GivenVersion, StoreOrigin, StoreWrite } from '../store/cache.store.js';
import type { EntryVersion } from '../version/entry-version.js';
import { type CacheParts, jitteredTtlMs } from './cache.parts.js';
import type { ShownValue } from './entry.codec.js';
import type { EntryLives } from './entry-lives.js';
import type { FirstLevelEntry } from './first-level.js';
import type { Flight } from './local-view.js';
import type { TagStamp } from './tags/tag-stamp.js';

/** How long what is written now counts as fresh. */
function storedTtlMs<T>(parts: CacheParts<T>, value: T | undefined, lives: EntryLives): number {
  const { namespace, random } = parts;
  const { negativeTtlMs, tombstoneTtlMs, l2TtlMs } = namespace;
  if (value === undefined && namespace.populate) {
    // It stands for a tombstone: a change that comes again must find it.
    return Math.max(negativeTtlMs, tombstoneTtlMs);
  }
  return jitteredTtlMs(value === undefined ? negativeTtlMs : (lives.l2TtlMs ?? l2TtlMs), random);
}

/** How long what is written is fresh, and how long it is kept beyond that, for fail-safe. */
interface StoredLives {
  readonly ttlMs: number;
  readonly keptMs: number;
}

/** Lives of what is written now. */
export function storedLives<T>(parts: CacheParts<T>, value: T | undefined, lives: EntryLives): StoredLives {
  return {
    ttlMs: storedTtlMs(parts, value, lives),
    keptMs: value === undefined || !parts.keepsOld ? 0 : parts.namespace.failSafeMs,
  };
}

/** A write to the store; each property by its name, because spreading two objects costs more than the rest of it. */
export function storeWrite<V extends GivenVersion, P extends string | null>(
  { channel, source, synced, populate }: StoreOrigin,
  key: string,
  version: V,
  payload: P,
  { ttlMs, keptMs }: StoredLives,
): StoreWrite & { readonly version: V; readonly payload: P } {
  return { channel, source, synced, populate, key, version, payload, ttlMs, keptMs };
}

/** What came from the store or a loader. */
export interface Found<T> {
  readonly shown: ShownValue<T>;
  readonly negative: boolean;
  readonly version: EntryVersion;
  /** What is left of its life in the store. */
  readonly ttlMs: number;
  readonly bytes: number;
  readonly tags?: readonly TagStamp[] | undefined;
}

class KeptEntry<T> implements FirstLevelEntry<T> {
  constructor(
    private readonly shown: ShownValue<T>,
    readonly version: EntryVersion,
    readonly expiresAtMs: number,
    readonly bytes: number,
    public refreshAtMs: number | undefined,
    readonly tags: readonly TagStamp[] | undefined,
  ) {}

  get value(): T | undefined {
    return this.shown.value;
  }
}

/** Keeps what a flight brought in the first level: its own life, but never longer than what is left in the store. */
export function fillFirstLevel<T>(parts: CacheParts<T>, flight: Flight, found: Found<T>, lives: EntryLives): void {
  const { namespace, clock, random, view } = parts;
  const { shown, negative, version, bytes, tags } = found;
  const l1TtlMs = lives.l1TtlMs ?? namespace.l1TtlMs;
  const ownTtlMs = negative ? Math.min(namespace.negativeTtlMs, l1TtlMs) : l1TtlMs;
  const ttlMs = Math.min(jitteredTtlMs(ownTtlMs, random), found.ttlMs);
  const nowMs = clock.monotonic();
  const refreshAtMs = negative || namespace.earlyRefresh === 0 ? undefined : nowMs + found.ttlMs - refreshLeadMs(parts);
  view.fill(flight, new KeptEntry(shown, version, nowMs + ttlMs, bytes, refreshAtMs, tags));
}

/**
 * How long before its end a value is loaded anew: what a load takes, and a random part of mean one on top, drawn for each copy in a first level. The sum is that of "optimal
 * probabilistic cache stampede prevention" (Vattani, Chierichetti, Lowenstein, VLDB 2015), begun one load earlier, so that the new value is there in time.
 */
export function refreshLeadMs<T>({ namespace, timing, random }: CacheParts<T>): number {
  return namespace.earlyRefresh * (timing.meanMs ?? 0) * (1 - Math.log(1 - random.next()));
}
