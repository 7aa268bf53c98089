import type { EntryVersion } from '../version/entry-version.js';
import { type CacheParts, jitteredTtlMs } from './cache.parts.js';
import type { ShownValue } from './entry.codec.js';
import type { EntryLives } from './entry-lives.js';
import type { FirstLevelEntry } from './first-level.js';
import type { Flight } from './local-view.js';

/** How long the store keeps what is written now. */
export function storedTtlMs<T>(parts: CacheParts<T>, payload: string | null, lives: EntryLives): number {
  const { namespace, random } = parts;
  return jitteredTtlMs(payload === null ? namespace.negativeTtlMs : (lives.l2TtlMs ?? namespace.l2TtlMs), random);
}

/** What came from the store or a loader. */
export interface Found<T> {
  readonly shown: ShownValue<T>;
  readonly negative: boolean;
  readonly version: EntryVersion;
  /** What is left of its life in the store. */
  readonly ttlMs: number;
  readonly bytes: number;
}

class KeptEntry<T> implements FirstLevelEntry<T> {
  constructor(
    private readonly shown: ShownValue<T>,
    readonly version: EntryVersion,
    readonly expiresAtMs: number,
    readonly bytes: number,
  ) {}

  get value(): T | undefined {
    return this.shown.value;
  }
}

/** Keeps what a flight brought in the first level: its own life, but never longer than what is left in the store. */
export function fillFirstLevel<T>(parts: CacheParts<T>, flight: Flight, found: Found<T>, lives: EntryLives): void {
  const { namespace, clock, random, view } = parts;
  const { shown, negative, version, bytes } = found;
  const l1TtlMs = lives.l1TtlMs ?? namespace.l1TtlMs;
  const ownTtlMs = negative ? Math.min(namespace.negativeTtlMs, l1TtlMs) : l1TtlMs;
  const ttlMs = Math.min(jitteredTtlMs(ownTtlMs, random), found.ttlMs);
  view.fill(flight, new KeptEntry(shown, version, clock.monotonic() + ttlMs, bytes));
}
