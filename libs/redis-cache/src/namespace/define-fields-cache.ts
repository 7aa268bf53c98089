import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { z } from 'zod';
import { checkNamespace, type CacheNamespace, type CacheNamespaceOptions, MAX_TTL_MS } from './define-cache.js';

/** What {@link defineFieldsCache} takes beside the options of `defineCache`. */
export interface FieldsOptions {
  /** Most fields of one hash, tombstones of fields among them; a loaded hash is within `maxPayloadBytes`, too. Default 1 000. */
  readonly maxFields?: number | undefined;
  /** Life of a field, milliseconds, unless `setFields` names another one; it ends with the hash at the latest. Not with `synced`. Default: as long as the hash. */
  readonly fieldTtlMs?: number | undefined;
}

/** What hashes of fields have not. */
const OF_VALUES = ['versioning', 'populate', 'tagged', 'groupOf', 'staleAfterMs', 'earlyRefresh'] as const;

/** The options of {@link defineFieldsCache}; the codec and `maxPayloadBytes` are those of one field. */
export interface FieldsNamespaceOptions<T>
  extends Omit<CacheNamespaceOptions<T>, (typeof OF_VALUES)[number]>, FieldsOptions {}

/** The defaults of {@link defineFieldsCache} beside those of `defineCache`. */
export const FIELDS_NAMESPACE_DEFAULTS = Object.freeze({ maxFields: 1_000 } as const);

/** A namespace of hashes with its defaults filled in: what {@link defineFieldsCache} answers. */
export interface FieldsNamespace<T> extends CacheNamespace<T> {
  readonly shape: 'fields';
  readonly maxFields: number;
  /** `undefined`: as long as the hash. */
  readonly fieldTtlMs: number | undefined;
}

const MAX_FIELDS = 100_000;
const schema = z.strictObject({
  maxFields: z
    .int(`expected a whole number from 1 to ${MAX_FIELDS}`)
    .min(1, `expected a whole number from 1 to ${MAX_FIELDS}`)
    .max(MAX_FIELDS, `expected a whole number from 1 to ${MAX_FIELDS}`)
    .default(FIELDS_NAMESPACE_DEFAULTS.maxFields),
  fieldTtlMs: z
    .int(`expected whole milliseconds from 1 to ${MAX_TTL_MS}`)
    .min(1, `expected whole milliseconds from 1 to ${MAX_TTL_MS}`)
    .max(MAX_TTL_MS, `expected whole milliseconds from 1 to ${MAX_TTL_MS}`)
    .optional(),
});

/**
 * Declares a namespace whose every key holds a hash of fields, each with a version of its own; `T` is what one field holds.
 *
 * @throws ConfigurationError when an option is unknown or out of range, the name cannot be part of a key, or a synced namespace has lives of fields: a field that ended
 * would be missing, and nothing would load it.
 * @example
 * ```ts
 * export const dayForecast = defineFieldsCache<HourForecast>({ name: 'day-forecast', synced: true, maxFields: 100 });
 * ```
 */
export function defineFieldsCache<T>(options: FieldsNamespaceOptions<T>): FieldsNamespace<T> {
  const owner = 'defineFieldsCache';
  const { maxFields, fieldTtlMs, ...common } = options;
  const refused = OF_VALUES.filter((option) => option in options);
  if (refused.length > 0) {
    throw new ConfigurationError(
      owner,
      refused.map((option) => ({ option, problem: 'is for caches of values; hashes of fields have none of it' })),
    );
  }
  const own = checkOptions(owner, schema, { maxFields, fieldTtlMs });
  const rest = checkNamespace(owner, common);
  if (rest.synced && own.fieldTtlMs !== undefined) {
    throw new ConfigurationError(owner, [
      {
        option: 'fieldTtlMs',
        problem: 'not with synced: true, where a field that ended would be missing until the hash ends',
      },
    ]);
  }
  return Object.freeze({ ...rest, shape: 'fields', maxFields: own.maxFields, fieldTtlMs: own.fieldTtlMs });
}

/** Whether a namespace is one of hashes. */
export function isFieldsNamespace<T>(
  namespace: CacheNamespace<T> | FieldsNamespace<T>,
): namespace is FieldsNamespace<T> {
  return 'shape' in namespace && namespace.shape === 'fields';
}
