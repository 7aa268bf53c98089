import { type Database } from '../../storage/database.js';
import { type TypeName, type ValueType } from '../../values/value-type.js';

/** `schema_id`: dbo is 1, others follow. */
export function schemaId(database: Database, name: string): bigint {
  const at = database.schemas.findIndex((one) => one.toLowerCase() === name.toLowerCase());
  return at <= 0 ? 1n : BigInt(at + 4);
}

/** `system_type_id`. */
export const TYPE_IDS: Readonly<Record<TypeName, number>> = {
  uniqueidentifier: 36,
  date: 40,
  time: 41,
  datetime2: 42,
  datetimeoffset: 43,
  tinyint: 48,
  smallint: 52,
  int: 56,
  smalldatetime: 58,
  real: 59,
  money: 60,
  datetime: 61,
  float: 62,
  bit: 104,
  decimal: 106,
  bigint: 127,
  varbinary: 165,
  varchar: 167,
  binary: 173,
  char: 175,
  rowversion: 189,
  nvarchar: 231,
  nchar: 239,
};

const DECLARED_IDS: Readonly<Record<string, number>> = {
  image: 34,
  text: 35,
  ntext: 99,
  numeric: 108,
  smallmoney: 122,
};

/** The name of a type as the catalog has it, by its id. */
export function typeNameOf(id: bigint): string | null {
  const known = { ...TYPE_IDS, ...DECLARED_IDS };
  const name = Object.entries(known).find(([, one]) => BigInt(one) === id)?.[0];
  return name === 'rowversion' ? 'timestamp' : (name ?? null);
}

/** `system_type_id` of a column. */
export function typeIdOf({ name, declared = '' }: ValueType): bigint {
  return BigInt(DECLARED_IDS[declared] ?? TYPE_IDS[name]);
}

/** What the catalog calls the type of a column. */
export function catalogName({ name, declared }: ValueType): string {
  return declared ?? (name === 'rowversion' ? 'timestamp' : name);
}
