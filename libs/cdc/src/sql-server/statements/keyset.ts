import { keyParameterSql, type SqlServerKeyColumn } from './column-sql.js';
import { quoteName } from './identifier.js';
import { type SqlServerParameter, text } from './statement.js';

/** Name of the parameter of the key's nth column. */
const parameterOf = (index: number): string => `key${index}`;

/** The parameters of a place in the order of the key. */
export function keyParameters(values: readonly string[]): readonly SqlServerParameter[] {
  return values.map((value, index) => text(parameterOf(index), value));
}

/** `ORDER BY` of the key, in the direction of its index. */
export function keyOrderSql(alias: string, key: readonly SqlServerKeyColumn[]): string {
  return key.map(({ name, descending }) => `${alias}.${quoteName(name)}${descending ? ' DESC' : ''}`).join(', ');
}

/**
 * Rows after a place in the order of the key. SQL Server has no comparison of row values, so a key of several columns is spelt out:
 * after by the first column, or equal in it and after by the second, and so on.
 */
export function afterKeySql(alias: string, key: readonly SqlServerKeyColumn[]): string {
  const terms = key.map((column, index) => {
    const equal = key.slice(0, index).map((earlier, position) => comparison(alias, earlier, '=', position));
    return [...equal, comparison(alias, column, column.descending ? '<' : '>', index)].join(' AND ');
  });
  return terms.length === 1 ? terms.join('') : terms.map((term) => `(${term})`).join(' OR ');
}

/** Rows of two aliases with one key. */
export function sameKeySql(left: string, right: string, key: readonly SqlServerKeyColumn[]): string {
  return key.map(({ name }) => `${left}.${quoteName(name)} = ${right}.${quoteName(name)}`).join(' AND ');
}

function comparison(alias: string, column: SqlServerKeyColumn, operator: string, index: number): string {
  return `${alias}.${quoteName(column.name)} ${operator} ${keyParameterSql(`@${parameterOf(index)}`, column)}`;
}
