import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { z } from 'zod';
import type { ChangeContract, WireKey } from './change-contract.js';
import { checkKeyFunction, computeKey } from './key-check.js';

/**
 * How rows become cache entries. `row`: one row, one key; a change refreshes the entry. `aggregate`: many rows, one key; a change
 * invalidates it with its stamp, and the next read loads it.
 */
export type SyncShape = 'row' | 'aggregate';

/** What an app does for a sync: `publish` follows the table, `apply` keeps the cache right. */
export type SyncRole = 'publish' | 'apply';

interface CommonSyncOptions<Pk extends WireKey> {
  /** The tracked table, `schema.name`. */
  readonly table: string;
  /** The cache namespace, defined with `synced: true`. */
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
        /** What the cache holds of a row; as a loader would load it. */ readonly value: (row: Row) => unknown;
      }
    | { readonly shape: 'aggregate'; readonly value?: undefined }
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
  /** What the cache holds of a row; only in shape `row`. */
  valueOf(row: Row): unknown;
  /** Runs the check of the key function that is made at start. */
  checkKey(): void;
}

const TABLE = /^[A-Za-z_][\w$#@]{0,127}\.[A-Za-z_][\w$#@]{0,127}$/;
const definitionSchema = z.strictObject({
  table: z.string().regex(TABLE, { error: 'expected `schema.name` with plain identifiers, like `dbo.forecast`' }),
  cache: z.string().min(1, { error: 'expected the name of a cache namespace' }),
  shape: z.enum(['row', 'aggregate'], {
    error: (issue) =>
      issue.input === 'fields'
        ? 'shape "fields" needs the field scripts of a real Redis, which are not there yet; use "row" or "aggregate"'
        : 'expected "row" or "aggregate"',
  }),
  key: z.custom<object>((key) => typeof key === 'function', { error: 'expected a function of the primary key' }),
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
 * @throws `ConfigurationError` that names every wrong option (also shape `fields`, which is not there yet),
 * `KeyNotFromPrimaryKeyError`, `InvalidKeyTextError`.
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
  if (options.shape === 'row' && options.value === undefined) {
    throw new ConfigurationError(owner, [
      { option: 'value', problem: 'shape "row" needs what the cache holds of a row' },
    ]);
  }
  if (options.shape === 'aggregate' && options.value !== undefined) {
    throw new ConfigurationError(owner, [
      { option: 'value', problem: 'shape "aggregate" has no value: its loader makes it' },
    ]);
  }
  const source = {
    contract: contract.name,
    primaryKey: contract.primaryKey,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the guard hands out the columns of `Pk` and nothing else
    key: (pk: WireKey): string => options.key(pk as Pk),
  };
  const definition: SyncDefinition<Row, Pk> = Object.freeze({
    contract,
    table: options.table,
    cache: options.cache,
    shape: options.shape,
    keyOf: (pk: Pk): string => computeKey(source, pk),
    valueOf: (row: Row): unknown => options.value?.(row),
    checkKey: (): void => checkKeyFunction(source, options.example),
  });
  definition.checkKey();
  return definition;
}
