import { type SqlValue } from '../../../seam.js';
import { columnSetTwice, invalidColumn } from '../../errors/query-faults.js';
import { identityUpdate, rowversionUpdate } from '../../errors/value-faults.js';
import { type Column, storeValue } from '../../storage/column.js';
import { type Table } from '../../storage/table.js';
import { assertConvertible } from '../../values/convert.js';
import { type Assignment, type Expression } from '../parse/ast.js';
import { type ExpressionCompiler } from './expression.compiler.js';
import { type Frame } from './frame.js';

/** The places of named columns. @throws 207, 264 */
export function placesOf(names: readonly string[], table: Table): readonly number[] {
  const seen = new Set<number>();
  return names.map((name) => {
    const at = table.columnIndex(name);
    if (at < 0) {
      throw invalidColumn(name);
    }
    if (seen.has(at)) {
      throw columnSetTwice(name);
    }
    seen.add(at);
    return at;
  });
}

export function columnAt(table: Table, at: number): Column {
  return table.columns[at] as Column;
}

/** A value for a column, as the column keeps it. DEFAULT is its default. @throws 206, 257 */
export function valueFor(
  column: Column,
  value: Expression,
  table: Table,
  expressions: ExpressionCompiler,
): (frame: Frame) => SqlValue {
  if (value.kind === 'default') {
    return () => column.default?.value() ?? null;
  }
  const { type, evaluate } = expressions.expression(value);
  assertConvertible(type, column.type);
  return (frame) => storeValue(evaluate(frame), type, column, writtenName(table));
}

/** What a SET list does: new values by the place of their column, and variables. */
export interface CompiledSet {
  /** Ids of the columns. */
  readonly ids: readonly number[];
  /** The row after it. Variables are set on the way. */
  readonly apply: (row: readonly SqlValue[], frame: Frame) => SqlValue[];
}

/** @throws 207, 264, 8102, 272 */
export function compileSet(set: readonly Assignment[], table: Table, expressions: ExpressionCompiler): CompiledSet {
  placesOf(
    set.flatMap(({ column }) => (column === undefined ? [] : [column.at(-1) ?? ''])),
    table,
  );
  const steps = set.map(({ column: name, variable, value }) => {
    const at = name === undefined ? undefined : table.columnIndex(name.at(-1) ?? '');
    const column = at === undefined ? undefined : columnAt(table, at);
    if (column?.identity !== undefined) {
      throw identityUpdate(column.name);
    }
    if (column?.type.name === 'rowversion') {
      throw rowversionUpdate();
    }
    const read =
      column === undefined ? expressions.expression(value).evaluate : valueFor(column, value, table, expressions);
    return { at, id: column?.id, variable: variable?.toLowerCase(), read };
  });
  return {
    ids: steps.flatMap(({ id }) => (id === undefined ? [] : [id])),
    apply: (before, frame) => {
      const row = [...before];
      for (const { at, variable, read } of steps) {
        const value = read(frame);
        if (at !== undefined) {
          row[at] = value;
        }
        if (variable !== undefined) {
          frame.run.variables.set(variable, value);
        }
      }
      return row;
    },
  };
}

/** As messages about values name a table. */
export function writtenName(table: Table): string {
  return `${table.database.name}.${table.qualifiedName}`;
}
