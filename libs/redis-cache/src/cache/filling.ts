import type { EntryVersion } from '../version/entry-version.js';
import { type CacheParts, jitteredTtlMs } from './cache.parts.js';
import type { Flight } from './local-view.js';

/** Keeps what a flight brought in the first level: its own life, but never longer than what is left in the store. */
export function fillFirstLevel<T>(
  parts: CacheParts<T>,
  flight: Flight,
  entry: { readonly value: T | undefined; readonly version: EntryVersion; readonly ttlMs: number },
): void {
  const { namespace, clock, random, view } = parts;
  const ownTtlMs = entry.value === undefined ? Math.min(namespace.negativeTtlMs, namespace.l1TtlMs) : namespace.l1TtlMs;
  const ttlMs = Math.min(jitteredTtlMs(ownTtlMs, random), entry.ttlMs);
  view.fill(flight, { value: entry.value, version: entry.version, expiresAtMs: clock.monotonic() + ttlMs });
}
