import { checkOptions, type StandardSchemaV1 } from '@smartpulse/resilience';
import { z } from 'zod';
import type { WireValue } from '../envelope/change-envelope.js';

/** A row's primary key as it travels: instants are UTC text, decimals and big integers are text, binary is base64. */
export type WireKey = Readonly<Record<string, WireValue>>;

/** The primary key of `Row` as it travels; a column that the schema turns into something else (a date, a bigint) is text here. */
export type PrimaryKeyOf<Row, Column extends keyof Row & string> = {
  readonly [C in Column]: Row[C] extends string | number | boolean ? Row[C] : string;
};

/**
 * What other apps may know of a table's changes: where they travel, what identifies a row, and what a row looks like. Lives in the
 * package that the owning app shares.
 */
export interface ChangeContract<Row extends object = object, Pk extends WireKey = WireKey> {
  readonly name: string;
  /** Short topic name; tenant and namespace are the app's. */
  readonly topic: string;
  /** Columns of the primary key, in the order of the key. */
  readonly primaryKey: readonly string[];
  /** Turns a row as it travels into `Row`. */
  readonly schema: StandardSchemaV1<unknown, Row>;
  /** Rises with every change of the row's shape. */
  readonly version: number;
  /** Never there at run time: carries the key's type to `defineSync` and `@OnChange`. */
  readonly '~types'?: { readonly pk: Pk } | undefined;
}

/** What {@link defineChange} is given. */
export interface ChangeContractOptions<Row extends object, Column extends keyof Row & string> {
  /** Unique among the contracts of an app: lower case, digits, dashes. */
  readonly name: string;
  /** Short topic name: letters, digits, dots, dashes, underscores. */
  readonly topic: string;
  /** Columns of the primary key, in the order of the key; at least one. */
  readonly primaryKey: readonly Column[];
  /**
   * Any Standard Schema (zod, valibot, arktype) that turns a row as it travels into the row that handlers get. On the wire decimals and
   * integers beyond 2^53 are text, instants UTC text, binary base64.
   */
  readonly schema: StandardSchemaV1<unknown, Row>;
  /** A whole number from 1; raise it when the row's shape changes. */
  readonly version: number;
}

const NAME = /^[a-z0-9][a-z0-9-]{0,99}$/;
const TOPIC = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

const optionsSchema = z.strictObject({
  name: z.string().regex(NAME, { error: 'expected lower-case letters, digits and dashes, at most 100' }),
  topic: z.string().regex(TOPIC, { error: 'expected a short topic name: letters, digits, dots, dashes, underscores' }),
  primaryKey: z
    .array(z.string().min(1, { error: 'expected a column name' }))
    .min(1, { error: 'expected at least one column' })
    .max(32, { error: 'expected at most 32 columns' })
    .refine((columns) => new Set(columns).size === columns.length, { error: 'expected every column once' }),
  schema: z.custom<StandardSchemaV1>((schema) => isStandardSchema(schema), {
    error: 'expected a Standard Schema (zod, valibot, arktype)',
  }),
  version: z.number().int({ error: 'expected a whole number' }).min(1, { error: 'expected 1 or more' }),
});

/**
 * Declares the changes of a table for whoever listens.
 *
 * @throws `ConfigurationError` that names every wrong option.
 * @example
 * ```ts
 * export const forecastChange = defineChange({
 *   name: 'forecast',
 *   topic: 'forecast-changes',
 *   primaryKey: ['provider', 'unitNo', 'deliveryStart'],
 *   schema: ForecastRow,
 *   version: 1,
 * });
 * ```
 */
export function defineChange<Row extends object, const Column extends keyof Row & string>(
  options: ChangeContractOptions<Row, Column>,
): ChangeContract<Row, PrimaryKeyOf<Row, Column>> {
  checkOptions('defineChange', optionsSchema, options);
  return Object.freeze({ ...options, primaryKey: Object.freeze([...options.primaryKey]) });
}

/** The row type of a contract. */
export type RowOf<Contract> = Contract extends ChangeContract<infer Row, infer _Pk> ? Row : never;

function isStandardSchema(schema: unknown): boolean {
  // ArkType's schemas are functions.
  return (
    (typeof schema === 'object' || typeof schema === 'function') &&
    schema !== null &&
    '~standard' in schema &&
    typeof schema['~standard'] === 'object'
  );
}
