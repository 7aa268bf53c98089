import type { EntryVersion } from '../version/entry-version.js';
import { type CacheParts, jitteredTtlMs } from './cache.parts.js';
import type { EntryLives } from './entry-lives.js';
import type { Flight } from './local-view.js';

/** How long the store keeps what is written now. */
export function storedTtlMs<T>(parts: CacheParts<T>, payload: string | null, lives: EntryLives): number {
  const { namespace, random } = parts;
  return jitteredTtlMs(payload === null ? namespace.negativeTtlMs : (lives.l2TtlMs ?? namespace.l2TtlMs), random);
}

/** What came from the store or a loader. */
export interface Found<T> {
  readonly value: T | undefined;
  readonly version: EntryVersion;
  /** What is left of its life in the store. */
  readonly ttlMs: number;
  readonly bytes: number;
}

/** Keeps what a flight brought in the first level: its own life, but never longer than what is left in the store. */
export function fillFirstLevel<T>(parts: CacheParts<T>, flight: Flight, found: Found<T>, lives: EntryLives): void {
  const { namespace, clock, random, view } = parts;
  const { value, version, bytes } = found;
  const l1TtlMs = lives.l1TtlMs ?? namespace.l1TtlMs;
  const ownTtlMs = value === undefined ? Math.min(namespace.negativeTtlMs, l1TtlMs) : l1TtlMs;
  const ttlMs = Math.min(jitteredTtlMs(ownTtlMs, random), found.ttlMs);
  view.fill(flight, { value, version, expiresAtMs: clock.monotonic() + ttlMs, bytes });
}
