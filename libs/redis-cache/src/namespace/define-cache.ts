import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { z } from 'zod';
import { nameProblemOf } from './cache-key.js';
import { type CacheCodec, jsonCacheCodec } from './cache.codec.js';

/** What the first level does while messages may have been lost. `bypass`: it is not asked. `serve-stale`: it answers, flagged. */
export type UntrustedPolicy = 'bypass' | 'serve-stale';

/** Who gives the versions of entries: the source of what is cached, or the store. */
export type Versioning = 'required' | 'auto';

/** The options of {@link defineCache}. */
export interface CacheNamespaceOptions<T> {
  /** Unique in the app, part of every key in the store. */
  readonly name: string;
  /** `true`: a sync feeds this namespace. Changes refresh or invalidate, only loaders create, and there are no tombstones. */
  readonly synced: boolean;
  /**
   * Who gives versions. `required`: the source, at every write. `auto`: the store, above what it holds; the cache is an `AutoCache` then, and the namespace
   * not synced. Default `required`.
   */
  readonly versioning?: Versioning | undefined;
  /**
   * `true`, in a synced namespace: changes create, too. Needs `tombstoneTtlMs`, longer than the latest redelivery of a change, and values that live at least as long.
   * Default `false`.
   */
  readonly populate?: boolean | undefined;
  /** `true`: entries may carry tags, and all that carry one can be invalidated at once. Not in synced namespaces. Default `false`. */
  readonly tagged?: boolean | undefined;
  /** The group of a key: keys of one group can be set in one step (`setAll`), and are on one server of a cluster. Default: each key is its own. */
  readonly groupOf?: ((key: string) => string) | undefined;
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
   * How long after its life a value is kept, in both levels, and still answers `getOrLoad` when the source cannot be asked: the loader throws, takes too long or has
   * no room. Flagged `stale`, with the `failure`. What a change, an eviction or a flush has removed does not come back. Milliseconds, 0 = never. Default 0.
   */
  readonly failSafeMs?: number | undefined;
  /**
   * With `failSafeMs`: how long a caller waits for a load while a value is kept whose life is over; then it gets that one, flagged `stale`, and the load goes on.
   * Milliseconds, 0 = as long as the load takes. Default 0.
   */
  readonly staleAfterMs?: number | undefined;
  /**
   * Loads a value anew before its life ends, while readers are served, so that a key in use never waits: by so many mean durations of a load earlier, and a random part
   * on top, so that replicas do not begin at once. 1 is a good value, 0 = off. Default 0.
   */
  readonly earlyRefresh?: number | undefined;
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
  staleAfterMs: 0,
  earlyRefresh: 0,
  versioning: 'required',
  populate: false,
  tagged: false,
} as const);

/** A namespace with its defaults filled in: what {@link defineCache} answers. */
export type CacheNamespace<T> = {
  readonly [K in Exclude<keyof CacheNamespaceOptions<T>, 'groupOf'>]-?: NonNullable<CacheNamespaceOptions<T>[K]>;
} & Pick<CacheNamespaceOptions<T>, 'groupOf'>;

/** A namespace whose versions the store gives. */
export type AutoCacheNamespace<T> = CacheNamespace<T> & { readonly versioning: 'auto' };

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

const fromZero = (max: number, what: string): z.ZodNumber =>
  z
    .int(`expected ${what} from 0 to ${max}`)
    .min(0, `expected ${what} from 0 to ${max}`)
    .max(max, `expected ${what} from 0 to ${max}`);

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
  failSafeMs: fromZero(MAX_TTL_MS, 'whole milliseconds').default(defaults.failSafeMs),
  staleAfterMs: fromZero(MAX_TTL_MS, 'whole milliseconds').default(defaults.staleAfterMs),
  earlyRefresh: z
    .number('expected a number from 0 to 100')
    .min(0, 'expected a number from 0 to 100')
    .max(100, 'expected a number from 0 to 100')
    .default(defaults.earlyRefresh),
  versioning: z.enum(['required', 'auto'], "expected 'required' or 'auto'").default(defaults.versioning),
  populate: z.boolean('expected true or false').default(defaults.populate),
  tagged: z.boolean('expected true or false').default(defaults.tagged),
  groupOf: z
    .custom<(key: string) => string>((value) => typeof value === 'function', 'expected a function of the key')
    .optional(),
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
export function defineCache<T>(
  options: CacheNamespaceOptions<T> & { readonly versioning: 'auto' },
): AutoCacheNamespace<T>;
export function defineCache<T>(options: CacheNamespaceOptions<T>): CacheNamespace<T>;
export function defineCache<T>(options: CacheNamespaceOptions<T>): CacheNamespace<T> {
  return Object.freeze(checkNamespace('defineCache', options));
}

/** Checks options and fills in the defaults. @throws ConfigurationError that names what is wrong. */
export function checkNamespace<T>(owner: string, options: CacheNamespaceOptions<T>): CacheNamespace<T> {
  const checked = checkOptions(owner, schema, options);
  const problem = nameProblemOf(checked.name);
  const issues = [
    ...(problem === undefined ? [] : [{ option: 'name', problem }]),
    ...(checked.synced ? problemsOfSynced(checked) : problemsOfOpen(checked)),
    ...(checked.staleAfterMs > 0 && checked.failSafeMs === 0
      ? [{ option: 'staleAfterMs', problem: 'needs failSafeMs: without it no value is kept beyond its life' }]
      : []),
  ];
  if (issues.length > 0) {
    throw new ConfigurationError(owner, issues);
  }
  return { ...checked, codec: options.codec ?? jsonCacheCodec<T>() };
}

/** Whether the store gives the versions of a namespace. */
export function isAutoNamespace<T>(namespace: CacheNamespace<T>): namespace is AutoCacheNamespace<T> {
  return namespace.versioning === 'auto';
}

type Checked = z.output<typeof schema>;
type Issue = ConstructorParameters<typeof ConfigurationError>[1][number];

function problemsOfSynced({ versioning, tagged, populate, tombstoneTtlMs, l2TtlMs }: Checked): Issue[] {
  const issues: Issue[] = [];
  if (versioning === 'auto') {
    issues.push({ option: 'versioning', problem: "'auto' needs synced: false; what a sync brings has versions" });
  }
  if (tagged) {
    issues.push({ option: 'tagged', problem: 'needs synced: false; here a sync says what is old' });
  }
  if (populate && tombstoneTtlMs === defaults.tombstoneTtlMs) {
    issues.push({
      option: 'tombstoneTtlMs',
      problem: 'missing; with populate: true it says how late a change may come again (its longest redelivery)',
    });
  }
  // A life is shortened by up to a tenth.
  if (populate && l2TtlMs * 0.9 < tombstoneTtlMs) {
    issues.push({
      option: 'l2TtlMs',
      problem: `expected at least ${Math.ceil(tombstoneTtlMs / 0.9)}: with populate: true a change that comes again must not find its successor expired`,
    });
  }
  return issues;
}

function problemsOfOpen({ populate }: Checked): Issue[] {
  return populate ? [{ option: 'populate', problem: 'needs synced: true; here every write creates' }] : [];
}
