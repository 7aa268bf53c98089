import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { z } from 'zod';
import { nameProblemOf } from './cache-key.js';
import { type CacheCodec, jsonCacheCodec } from './cache.codec.js';

/** What the first level does while messages may have been lost. `bypass`: it is not asked. `serve-stale`: it answers, flagged. */
export type UntrustedPolicy = 'bypass' | 'serve-stale';

/** The options of {@link defineCache}. */
export interface CacheNamespaceOptions<T> {
  /** Unique in the app, part of every key in the store. */
  readonly name: string;
  /** `true`: a sync feeds this namespace. Changes refresh or invalidate, only loaders create, and there are no tombstones. */
  readonly synced: boolean;
  /** Life of an entry in the first level, milliseconds; never longer than what is left in the second. Default 30 000. */
  readonly l1TtlMs?: number | undefined;
  /** Life of an entry in the second level, milliseconds. Default 3 600 000. */
  readonly l2TtlMs?: number | undefined;
  /** Life of a negative entry on both levels, milliseconds. Default 10 000. */
  readonly negativeTtlMs?: number | undefined;
  /** Life of a tombstone where the namespace is not synced, milliseconds: longer than the latest late write. Default 60 000. */
  readonly tombstoneTtlMs?: number | undefined;
  /** Most entries of the first level; the oldest that was not used lately leaves. Default 10 000. */
  readonly maxEntries?: number | undefined;
  /** Most bytes of keys and encoded values in the first level, roughly; the oldest entry that was not used lately leaves. Default 67 108 864 (64 MiB). */
  readonly maxBytes?: number | undefined;
  /** Life of a load lease, milliseconds; renewed at half of it while the loader runs. Default 10 000. */
  readonly leaseMs?: number | undefined;
  /** Longest run of a loader, milliseconds. Default 30 000. */
  readonly loadTimeoutMs?: number | undefined;
  /** Longest wait for another replica's load before this one loads without storing, milliseconds. Default 15 000. */
  readonly waitTimeoutMs?: number | undefined;
  /** Longest wait for one answer of the store, milliseconds. Default 250. */
  readonly storeTimeoutMs?: number | undefined;
  /** Loaders of this replica that run at once while the store is down. Default 8. */
  readonly outageConcurrency?: number | undefined;
  /** Loads that may wait for one of those; one more is refused. Default 256. */
  readonly outageQueue?: number | undefined;
  /** Largest encoded value, bytes. Default 1 048 576. */
  readonly maxPayloadBytes?: number | undefined;
  /** While messages may have been lost. Default `bypass`. */
  readonly untrusted?: UntrustedPolicy | undefined;
  /** With `serve-stale`: how long, milliseconds. Default 30 000. */
  readonly serveStaleMs?: number | undefined;
  /**
   * How long after its life in the first level a value still answers `getOrLoad` when the source cannot be asked: the loader throws, takes too long or has no room.
   * Flagged `stale`, with the `failure`. What a change, an eviction or a flush has removed does not come back. Milliseconds, 0 = never. Default 0.
   */
  readonly failSafeMs?: number | undefined;
  /** How values become text. Default JSON. */
  readonly codec?: CacheCodec<T> | undefined;
}

/** The defaults of {@link defineCache}. */
export const CACHE_NAMESPACE_DEFAULTS = Object.freeze({
  l1TtlMs: 30_000,
  l2TtlMs: 3_600_000,
  negativeTtlMs: 10_000,
  tombstoneTtlMs: 60_000,
  maxEntries: 10_000,
  maxBytes: 67_108_864,
  leaseMs: 10_000,
  loadTimeoutMs: 30_000,
  waitTimeoutMs: 15_000,
  storeTimeoutMs: 250,
  outageConcurrency: 8,
  outageQueue: 256,
  maxPayloadBytes: 1_048_576,
  untrusted: 'bypass',
  serveStaleMs: 30_000,
  failSafeMs: 0,
} as const);

/** A namespace with its defaults filled in: what {@link defineCache} answers. */
export type CacheNamespace<T> = {
  readonly [K in keyof CacheNamespaceOptions<T>]-?: NonNullable<CacheNamespaceOptions<T>[K]>;
};

/** The longest life that an entry may have, milliseconds. */
export const MAX_TTL_MS = 30 * 24 * 3_600_000;
const duration = (fallback: number, max = MAX_TTL_MS): z.ZodDefault<z.ZodNumber> =>
  z
    .int(`expected whole milliseconds from 1 to ${max}`)
    .min(1, `expected whole milliseconds from 1 to ${max}`)
    .max(max, `expected whole milliseconds from 1 to ${max}`)
    .default(fallback);
const count = (fallback: number, max: number): z.ZodDefault<z.ZodNumber> =>
  z
    .int(`expected a whole number from 1 to ${max}`)
    .min(1, `expected a whole number from 1 to ${max}`)
    .max(max, `expected a whole number from 1 to ${max}`)
    .default(fallback);

const codec = z.custom<CacheCodec<never>>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    'encode' in value &&
    typeof value.encode === 'function' &&
    'decode' in value &&
    typeof value.decode === 'function',
  'expected an object with the functions encode and decode',
);

const defaults = CACHE_NAMESPACE_DEFAULTS;
const schema = z.strictObject({
  name: z.string("expected the namespace's name, text"),
  synced: z.boolean('expected true (a sync feeds it) or false'),
  l1TtlMs: duration(defaults.l1TtlMs),
  l2TtlMs: duration(defaults.l2TtlMs),
  negativeTtlMs: duration(defaults.negativeTtlMs),
  tombstoneTtlMs: duration(defaults.tombstoneTtlMs),
  maxEntries: count(defaults.maxEntries, 10_000_000),
  maxBytes: count(defaults.maxBytes, 64 * 1_073_741_824),
  leaseMs: duration(defaults.leaseMs, 600_000),
  loadTimeoutMs: duration(defaults.loadTimeoutMs, 3_600_000),
  waitTimeoutMs: duration(defaults.waitTimeoutMs, 3_600_000),
  storeTimeoutMs: duration(defaults.storeTimeoutMs, 3_600_000),
  outageConcurrency: count(defaults.outageConcurrency, 10_000),
  outageQueue: count(defaults.outageQueue, 1_000_000),
  maxPayloadBytes: count(defaults.maxPayloadBytes, 512 * 1_048_576),
  untrusted: z.enum(['bypass', 'serve-stale'], "expected 'bypass' or 'serve-stale'").default(defaults.untrusted),
  serveStaleMs: duration(defaults.serveStaleMs),
  failSafeMs: z
    .int(`expected whole milliseconds from 0 to ${MAX_TTL_MS}`)
    .min(0, `expected whole milliseconds from 0 to ${MAX_TTL_MS}`)
    .max(MAX_TTL_MS, `expected whole milliseconds from 0 to ${MAX_TTL_MS}`)
    .default(defaults.failSafeMs),
  codec: codec.optional(),
});

/**
 * Declares a namespace: one kind of value under one kind of key, with its lives and bounds.
 *
 * @throws ConfigurationError when an option is unknown or out of range, or the name cannot be part of a key.
 * @example
 * ```ts
 * export const forecastCache = defineCache<DayForecast>({ name: 'forecast', synced: true, l1TtlMs: 10_000 });
 * ```
 */
export function defineCache<T>(options: CacheNamespaceOptions<T>): CacheNamespace<T> {
  return Object.freeze(checkNamespace('defineCache', options));
}

/** Checks options and fills in the defaults. @throws ConfigurationError that names what is wrong. */
export function checkNamespace<T>(owner: string, options: CacheNamespaceOptions<T>): CacheNamespace<T> {
  const checked = checkOptions(owner, schema, options);
  const problem = nameProblemOf(checked.name);
  if (problem !== undefined) {
    throw new ConfigurationError(owner, [{ option: 'name', problem }]);
  }
  return { ...checked, codec: options.codec ?? jsonCacheCodec<T>() };
}
