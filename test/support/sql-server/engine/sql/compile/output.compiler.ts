import { type SqlValue } from '../../../seam.js';
import { newRow } from '../../storage/new-row.js';
import { type Row } from '../../storage/row-slot.js';
import { type Table } from '../../storage/table.js';
import { nvarchar } from '../../values/value-type.js';
import { storeValue } from '../../storage/column.js';
import { type Output } from '../parse/ast.js';
import { undeclaredVariable } from '../../errors/query-faults.js';
import { type Environment } from './environment.js';
import { type CompiledQuery, ExpressionCompiler, type QueryCompiler } from './expression.compiler.js';
import { type Compiled, type Frame, newFrame } from './frame.js';
import { requireTable } from './resolve-table.js';
import { type Scope } from './scope.js';
import { writtenOut } from './select-list.js';
import { columnAt, placesOf } from './written-columns.js';

/** What a statement did to a row. */
export interface ChangedRow {
  readonly action: 'INSERT' | 'UPDATE' | 'DELETE';
  readonly inserted: Row | undefined;
  readonly deleted: Row | undefined;
  /** The rows of the other sources at that moment. */
  readonly frame: Frame;
}

/** An OUTPUT clause: its rows are answered, or put into a table. */
export interface CompiledOutput {
  readonly columns: CompiledQuery['columns'] | undefined;
  readonly tell: (changed: ChangedRow) => readonly SqlValue[];
  readonly store: ((rows: readonly (readonly SqlValue[])[], frame: Frame) => void) | undefined;
}

/** Compiles OUTPUT in the scope of its statement, with `inserted` and `deleted` beside the sources. */
export function compileOutput(
  output: Output,
  table: Table,
  environment: Environment,
  scope: Scope,
  compileQuery: QueryCompiler,
): CompiledOutput {
  const columns = table.columns.map(({ name, type }) => ({ name, type: { ...type, nullable: true } }));
  const inserted = scope.add({ exposedName: 'inserted', schema: undefined, columns });
  const deleted = scope.add({ exposedName: 'deleted', schema: undefined, columns });
  const actions = new WeakMap<Frame, string>();
  const expressions = new ExpressionCompiler(environment, scope, compileQuery, (expression) =>
    expression.kind === 'column' && expression.parts.join('.').toLowerCase() === '$action'
      ? { type: nvarchar(10), evaluate: (frame) => actions.get(frame) ?? null }
      : undefined,
  );
  const list = writtenOut(output.items, scope);
  const values = list.map(({ value }) => expressions.expression(value));
  const told = list.map(({ name }, at) => ({ name, type: (values[at] as Compiled).type }));
  return {
    columns: output.into === undefined ? told : undefined,
    tell: (changed) => {
      const frame = newFrame(changed.frame.run, scope.sources.length, changed.frame.parent);
      changed.frame.rows.forEach((row, at) => (frame.rows[at] = row));
      frame.rows[inserted] = changed.inserted ?? null;
      frame.rows[deleted] = changed.deleted ?? null;
      actions.set(frame, changed.action);
      return values.map((one) => one.evaluate(frame));
    },
    store: output.into === undefined ? undefined : storing(output.into, told, environment),
  };
}

function storing(
  into: NonNullable<Output['into']>,
  told: CompiledQuery['columns'],
  environment: Environment,
): NonNullable<CompiledOutput['store']> {
  const table =
    typeof into.table === 'string'
      ? environment.tableVariables.get(into.table.toLowerCase())
      : requireTable(into.table, environment);
  if (table === undefined) {
    throw undeclaredVariable(String(into.table));
  }
  const places = into.columns.length === 0 ? table.columns.map((_, at) => at) : placesOf(into.columns, table);
  return (rows, { run }) => {
    for (const row of rows) {
      const given = new Map(
        places.map((at, index) => {
          const type = told[index]?.type ?? columnAt(table, at).type;
          return [at, storeValue(row[index] ?? null, type, columnAt(table, at), table.name)] as const;
        }),
      );
      table.insert(run.transaction, newRow(table, given, { keepIdentity: true }), { context: run.context });
    }
  };
}
