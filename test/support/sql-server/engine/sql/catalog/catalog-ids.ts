import { type Database } from '../../storage/database.js';
import { type TypeName } from '../../values/value-type.js';

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

/** The name of a type as the catalog has it. */
export function typeNameOf(id: bigint): string | null {
  const name = Object.entries(TYPE_IDS).find(([, one]) => BigInt(one) === id)?.[0];
  return name === 'rowversion' ? 'timestamp' : (name ?? null);
}
