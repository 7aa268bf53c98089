import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { z } from 'zod';
import type { ChangeContract, WireKey } from './change-contract.js';
import { checkKeyFunction, computeKey } from './key-check.js';

/**
 * How rows become cache entries. `row`: one row, one key; a change refreshes the entry. `aggregate`: many rows, one key; a change
 * invalidates it with its stamp, and the next read loads it. `fields`: each row is one field of the key's hash; a loader stores the whole hash, a change above its base
 * stores its field, and a delete leaves a tombstone of the field.
 */
export type SyncShape = 'row' | 'aggregate' | 'fields';

/** What an app does for a sync: `publish` follows the table, `apply` keeps the cache right. */
export type SyncRole = 'publish' | 'apply';

interface CommonSyncOptions<Pk extends WireKey> {
  /** The tracked table, `schema.name`. */
  readonly table: string;
  /** The cache namespace, defined with `synced: true`; in shape `fields` by `defineFieldsCache`. */
  readonly cache: string;
  /**
   * The cache key of a row, from columns of the primary key alone: of a deleted row nothing else is known. Also the key of the message:
   * changes of one key keep their order.
   */
  readonly key: (pk: Pk) => string;
  /** A primary key that `key` accepts, for the check at start; needed only by functions that parse an unusual format. */
  readonly example?: Pk | undefined;
}

/** What {@link defineSync} is given. */
export type SyncOptions<Row extends object, Pk extends WireKey> = CommonSyncOptions<Pk> &
  (
    | {
        readonly shape: 'row';
        /** What the cache holds of a row; as a loader would load it. */
        readonly value: (row: Row) => unknown;
        readonly field?: undefined;
      }
    | { readonly shape: 'aggregate'; readonly value?: undefined; readonly field?: undefined }
    | {
        readonly shape: 'fields';
        /** The name of a row's field, from columns of the primary key alone; with the key it names one row. */
        readonly field: (pk: Pk) => string;
        /** What the field holds of a row; as a loader would load it. */
        readonly value: (row: Row) => unknown;
      }
  );

/** A table, its changes and the cache that they keep right. Made by {@link defineSync}. */
export interface SyncDefinition<Row extends object = object, Pk extends WireKey = WireKey> {
  readonly contract: ChangeContract<Row, Pk>;
  readonly table: string;
  readonly cache: string;
  readonly shape: SyncShape;
  /**
   * The checked key.
   *
   * @throws `KeyNotFromPrimaryKeyError`, `InvalidKeyTextError`, `InvalidInstantError`.
   */
  keyOf(pk: Pk): string;
  /**
   * The checked name of a row's field; only in shape `fields`.
   *
   * @throws as {@link keyOf}; `TypeError` in another shape.
   */
  fieldOf(pk: Pk): string;
  /** What the cache holds of a row; only in the shapes `row` and `fields`. */
  valueOf(row: Row): unknown;
  /** Runs the check of the key function that is made at start. */
  checkKey(): void;
}

const TABLE = /^[A-Za-z_][\w$#@]{0,127}\.[A-Za-z_][\w$#@]{0,127}$/;
const definitionSchema = z.strictObject({
  table: z.string().regex(TABLE, { error: 'expected `schema.name` with plain identifiers, like `dbo.forecast`' }),
  cache: z.string().min(1, { error: 'expected the name of a cache namespace' }),
  shape: z.enum(['row', 'aggregate', 'fields'], { error: 'expected "row", "aggregate" or "fields"' }),
  key: z.custom<object>((key) => typeof key === 'function', { error: 'expected a function of the primary key' }),
  field: z
    .custom<object>((field) => typeof field === 'function', { error: 'expected a function of the primary key' })
    .optional(),
  value: z
    .custom<object>((value) => typeof value === 'function', { error: 'expected a function of the row' })
    .optional(),
  example: z.record(z.string(), z.unknown(), { error: 'expected a primary key' }).optional(),
});

/**
 * Declares that a cache follows a table.
 *
 * The key function is tried on samples here and guarded at every call: one that reads anything but the primary key fails at start.
 *
 * @throws `ConfigurationError` that names every wrong option, `KeyNotFromPrimaryKeyError`, `InvalidKeyTextError`.
 * @example
 * ```ts
 * export const forecastSync = defineSync(forecastChange, {
 *   table: 'dbo.forecast',
 *   cache: 'forecast',
 *   shape: 'aggregate',
 *   key: (pk) => `${pk.provider}/${pk.unitNo}/${utcDay(pk.deliveryStart)}`,
 * });
 * ```
 */
export function defineSync<Row extends object, Pk extends WireKey>(
  contract: ChangeContract<Row, Pk>,
  options: SyncOptions<Row, Pk>,
): SyncDefinition<Row, Pk> {
  const owner = `defineSync("${contract.name}")`;
  checkOptions(owner, definitionSchema, options);
  const issues = shapeIssues(options.shape, options);
  if (issues.length > 0) {
    throw new ConfigurationError(owner, issues);
  }
  const source = {
    contract: contract.name,
    primaryKey: contract.primaryKey,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the guard hands out the columns of `Pk` and nothing else
    key: (pk: WireKey): string => options.key(pk as Pk),
  };
  const { field } = options;
  const fieldSource = field && {
    ...source,
    contract: `${contract.name} (field)`,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as for the key
    key: (pk: WireKey): string => field(pk as Pk),
  };
  const definition: SyncDefinition<Row, Pk> = Object.freeze({
    contract,
    table: options.table,
    cache: options.cache,
    shape: options.shape,
    keyOf: (pk: Pk): string => computeKey(source, pk),
    fieldOf: (pk: Pk): string => {
      if (fieldSource === undefined) {
        throw new TypeError(`The sync "${contract.name}" is not of shape "fields".`);
      }
      return computeKey(fieldSource, pk);
    },
    valueOf: (row: Row): unknown => options.value?.(row),
    checkKey: (): void => {
      checkKeyFunction(source, options.example);
      if (fieldSource !== undefined) {
        checkKeyFunction(fieldSource, options.example);
      }
    },
  });
  definition.checkKey();
  return definition;
}

const NEEDS: Readonly<Record<SyncShape, readonly ('value' | 'field')[]>> = Object.freeze({
  row: ['value'],
  aggregate: [],
  fields: ['value', 'field'],
});

/** What a shape needs and was not given, and what it has no use for. */
function shapeIssues(
  shape: SyncShape,
  given: { readonly value?: unknown; readonly field?: unknown },
): readonly { readonly option: string; readonly problem: string }[] {
  const what = { value: 'what the cache holds of a row', field: "the name of a row's field" };
  return (['value', 'field'] as const).flatMap((option) => {
    const needed = NEEDS[shape].includes(option);
    if (needed === (given[option] !== undefined)) {
      return [];
    }
    return [{ option, problem: `shape "${shape}" ${needed ? `needs ${what[option]}` : `has no ${option}`}` }];
  });
}
