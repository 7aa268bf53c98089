import { type SqlValue } from '../../../seam.js';
import {
  fewerColumnsThanValues,
  moreColumnsThanValues,
  selectListTooLong,
  selectListTooShort,
  tooManyValueRows,
  undeclaredVariable,
  valuesDoNotMatchTable,
} from '../../errors/query-faults.js';
import { explicitIdentity, missingIdentity, rowversionInsert } from '../../errors/value-faults.js';
import { assertAllowed, assertWritable } from '../../security/permissions.js';
import { storeValue } from '../../storage/column.js';
import { newRow, stampedRow } from '../../storage/new-row.js';
import { type RowSlot } from '../../storage/row-slot.js';
import { type PlacedRow, type Table } from '../../storage/table.js';
import { BIGINT } from '../../values/value-type.js';
import {
  type Delete,
  type Expression,
  type Insert,
  type Query,
  type TableSource,
  type Target,
  type Top,
  type Update,
} from '../parse/ast.js';
import { into } from './conversion.js';
import { type Environment } from './environment.js';
import { type CompiledQuery, ExpressionCompiler } from './expression.compiler.js';
import { type Frame, newFrame, type Run } from './frame.js';
import { FromCompiler } from './from.compiler.js';
import { compileOutput, type ChangedRow, type CompiledOutput } from './output.compiler.js';
import { compileInnerQuery, compileQuery } from './query.compiler.js';
import { requireTable } from './resolve-table.js';
import { Join, type RowSource } from './row-source.js';
import { Scope } from './scope.js';
import { columnAt, compileSet, placesOf, valueFor } from './written-columns.js';

/** What a statement did. */
export interface ChangeResult {
  readonly count: number;
  readonly columns: CompiledQuery['columns'] | undefined;
  readonly rows: readonly (readonly SqlValue[])[];
}

export type CompiledChange = (run: Run) => ChangeResult;

export function compileInsert(statement: Insert, environment: Environment): CompiledChange {
  const table = targetTable(statement.target, environment);
  assertMayWrite(table, 'INSERT', environment);
  const scope = new Scope(undefined);
  const expressions = new ExpressionCompiler(environment, scope, compileInnerQuery);
  const places = insertPlaces(statement, table, environment);
  const produce = insertedValues(statement.source, places, table, expressions, statement.columns.length > 0);
  const output = statement.output && compileOutput(statement.output, table, environment, scope, compileInnerQuery);
  return (run) => {
    const frame = newFrame(run, scope.sources.length);
    const rows = [...produce(frame)];
    const changed = rows.map((values): ChangedRow => {
      const { row } = insertRow(table, new Map(values), run);
      return { action: 'INSERT', inserted: row, deleted: undefined, frame };
    });
    return result(changed, output, frame);
  };
}

export function compileUpdate(statement: Update, environment: Environment): CompiledChange {
  const { table, scope, source, target } = compileTarget(statement, environment);
  assertMayWrite(table, 'UPDATE', environment);
  const expressions = new ExpressionCompiler(environment, scope, compileInnerQuery);
  const where = statement.where === undefined ? undefined : expressions.condition(statement.where);
  const set = compileSet(statement.set, table, expressions);
  const limit = compileTop(statement.top, environment);
  const output = statement.output && compileOutput(statement.output, table, environment, scope, compileInnerQuery);
  return (run) => {
    const frame = newFrame(run, scope.sources.length);
    const found = matching(source, target, where, limit(run), frame).map(({ place, rows }) => {
      const at = { ...frame, rows };
      return { from: place, to: stampedRow(table, set.apply(place.row, at)), frame: at };
    });
    const placed = table.update(run.transaction, found, set.ids, { context: run.context });
    const changed = found.map(({ from, frame: at }, index): ChangedRow => ({
      action: 'UPDATE',
      inserted: placed[index]?.row,
      deleted: from.row,
      frame: at,
    }));
    return result(changed, output, frame);
  };
}

export function compileDelete(statement: Delete, environment: Environment): CompiledChange {
  const { table, scope, source, target } = compileTarget(statement, environment);
  assertMayWrite(table, 'DELETE', environment);
  const expressions = new ExpressionCompiler(environment, scope, compileInnerQuery);
  const where = statement.where === undefined ? undefined : expressions.condition(statement.where);
  const limit = compileTop(statement.top, environment);
  const output = statement.output && compileOutput(statement.output, table, environment, scope, compileInnerQuery);
  return (run) => {
    const frame = newFrame(run, scope.sources.length);
    const changed = matching(source, target, where, limit(run), frame).map(({ place, rows }): ChangedRow => {
      table.delete(run.transaction, place, { context: run.context });
      return { action: 'DELETE', inserted: undefined, deleted: place.row, frame: { ...frame, rows } };
    });
    return result(changed, output, frame);
  };
}

/** The table that a statement writes to. @throws 208, 137 */
export function targetTable(target: Target, environment: Environment): Table {
  if (target.kind === 'table') {
    return requireTable(target.name, environment);
  }
  const table = environment.tableVariables.get(target.name.toLowerCase());
  if (table === undefined) {
    throw undeclaredVariable(target.name);
  }
  return table;
}

/** @throws 229, 3906 */
export function assertMayWrite(
  table: Table,
  permission: 'INSERT' | 'UPDATE' | 'DELETE',
  { session }: Environment,
): void {
  if (table.database.find(table.schema, table.name) === table) {
    assertAllowed(session, permission, table);
    assertWritable(table.database);
  }
}

/** The places of the columns of an INSERT. @throws 207, 264, 544, 545, 273 */
export function insertPlaces(
  { columns, target }: Pick<Insert, 'columns' | 'target'>,
  table: Table,
  { session }: Environment,
): readonly number[] {
  const identityInsert = session.identityInsert === table.qualifiedName.toLowerCase();
  const writable = table.columns.flatMap(({ identity, type }, at) =>
    (identity === undefined || identityInsert) && type.name !== 'rowversion' ? [at] : [],
  );
  if (columns.length === 0) {
    return writable;
  }
  const places = placesOf(columns, table);
  const identity = table.columns.findIndex((column) => column.identity !== undefined);
  if (identity >= 0 && places.includes(identity) !== identityInsert && target.kind === 'table') {
    throw identityInsert ? missingIdentity(table.name) : explicitIdentity(table.name);
  }
  if (places.some((at) => columnAt(table, at).type.name === 'rowversion')) {
    throw rowversionInsert();
  }
  return places;
}

/** One row in; tells the session its identity. */
export function insertRow(table: Table, given: ReadonlyMap<number, SqlValue>, run: Run): PlacedRow {
  const identity = table.columns.findIndex((column) => column.identity !== undefined);
  const keepIdentity = identity >= 0 && given.has(identity);
  const placed = table.insert(run.transaction, newRow(table, given, { keepIdentity }), { context: run.context });
  if (identity >= 0) {
    run.session.lastIdentity = placed.row[identity] ?? null;
  }
  return placed;
}

/** What a statement did, with what its OUTPUT tells. */
export function result(changed: readonly ChangedRow[], output: CompiledOutput | undefined, frame: Frame): ChangeResult {
  const rows = output === undefined ? [] : changed.map((one) => output.tell(one));
  output?.store?.(rows, frame);
  return { count: changed.length, columns: output?.columns, rows: output?.columns === undefined ? [] : rows };
}

type PlacedValue = readonly [number, SqlValue];

function insertedValues(
  source: Insert['source'],
  places: readonly number[],
  table: Table,
  expressions: ExpressionCompiler,
  named: boolean,
): (frame: Frame) => Iterable<readonly PlacedValue[]> {
  if (source === 'defaults') {
    return () => [[]];
  }
  if ('body' in source) {
    return queriedValues(source, places, table, expressions, named);
  }
  if (source.length > 1_000) {
    throw tooManyValueRows();
  }
  const rows = source.map((row) => {
    if (row.length !== places.length) {
      throw named
        ? row.length < places.length
          ? moreColumnsThanValues()
          : fewerColumnsThanValues()
        : valuesDoNotMatchTable();
    }
    return row.map((value: Expression, index) => {
      const at = places[index] ?? 0;
      return { at, read: valueFor(columnAt(table, at), value, table, expressions) };
    });
  });
  return (frame) => rows.map((row) => row.map(({ at, read }) => [at, read(frame)] as const));
}

function queriedValues(
  query: Query,
  places: readonly number[],
  table: Table,
  { environment }: ExpressionCompiler,
  named: boolean,
): (frame: Frame) => Iterable<readonly PlacedValue[]> {
  const compiled = compileQuery(query, environment, undefined);
  if (compiled.columns.length !== places.length) {
    throw named
      ? compiled.columns.length < places.length
        ? selectListTooShort()
        : selectListTooLong()
      : valuesDoNotMatchTable();
  }
  return ({ run }) =>
    [...compiled.rows(run, undefined)].map((row) =>
      places.map((at, index) => {
        const type = compiled.columns[index]?.type ?? BIGINT;
        return [at, storeValue(row[index] ?? null, type, columnAt(table, at), table.qualifiedName)] as const;
      }),
    );
}

/** The FROM of an UPDATE or DELETE, and which of its sources is written to. */
function compileTarget(
  { target, from, where }: Pick<Update, 'target' | 'from' | 'where'>,
  environment: Environment,
): { readonly table: Table; readonly scope: Scope; readonly source: RowSource; readonly target: number } {
  const scope = new Scope(undefined);
  const named = from === undefined ? undefined : namedIn(from, target);
  const table = targetTable(named ?? target, environment);
  const compiler = new FromCompiler(environment, scope, compileInnerQuery, {
    purposeOf: (one) => (one === table ? 'write' : 'read'),
  });
  if (from === undefined || named === undefined) {
    const alias = target.kind === 'variable' ? target.name : undefined;
    const leaf = compiler.addTable(table, alias, target.kind === 'table' ? target.hints : [], 'write');
    const source = from === undefined ? leaf : new Join(leaf, compiler.add(from), undefined, false);
    compiler.use(where, source.sources);
    compiler.settle(source);
    return { table, scope, source, target: leaf.index };
  }
  const source = compiler.compile(from, where);
  const exposed = (named.alias ?? (named.kind === 'table' ? named.name.at(-1) : named.name) ?? '').toLowerCase();
  return { table, scope, source, target: scope.sources.findIndex((one) => one.exposedName.toLowerCase() === exposed) };
}

/** The source in FROM that the target names: by its alias, else by the name of the table. */
function namedIn(from: TableSource, target: Target): Target | undefined {
  if (from.kind === 'join') {
    return namedIn(from.left, target) ?? namedIn(from.right, target);
  }
  if (from.kind !== 'table' && from.kind !== 'variable') {
    return undefined;
  }
  const wanted = (target.kind === 'table' ? target.name.at(-1) : target.name)?.toLowerCase();
  const own = from.alias ?? (from.kind === 'table' ? from.name.at(-1) : from.name);
  return own?.toLowerCase() === wanted ? from : undefined;
}

/** The rows to be written, each once, with the rows of the other sources beside it. */
function matching(
  source: RowSource,
  target: number,
  where: ((frame: Frame) => boolean | null) | undefined,
  limit: number,
  frame: Frame,
): { readonly place: PlacedRow; readonly rows: Frame['rows'] }[] {
  const seen = new Set<RowSlot>();
  const found: { readonly place: PlacedRow; readonly rows: Frame['rows'] }[] = [];
  for (const _ of limit > 0 ? source.run(frame) : []) {
    const place = frame.places[target];
    if (place !== undefined && !seen.has(place.slot) && (where === undefined || where(frame) === true)) {
      seen.add(place.slot);
      found.push({ place, rows: [...frame.rows] });
      if (found.length >= limit) {
        break;
      }
    }
  }
  return found;
}

function compileTop(top: Top | undefined, environment: Environment): (run: Run) => number {
  if (top === undefined) {
    return () => Number.POSITIVE_INFINITY;
  }
  const count = into(
    new ExpressionCompiler(environment, new Scope(undefined), compileInnerQuery).expression(top.count),
    BIGINT,
  );
  return (run) => Number(count(newFrame(run, 0)));
}
