import { fewerColumnsThanValues, moreColumnsThanValues, rowTouchedTwiceByMerge } from '../../errors/query-faults.js';
import { stampedRow } from '../../storage/new-row.js';
import { type Row, type RowSlot } from '../../storage/row-slot.js';
import { type PlacedRow, type Table } from '../../storage/table.js';
import { type Merge, type MergeBranch } from '../parse/ast.js';
import {
  assertMayWrite,
  type CompiledChange,
  insertPlaces,
  insertRow,
  result,
  targetTable,
} from './change.compiler.js';
import { type Environment } from './environment.js';
import { ExpressionCompiler } from './expression.compiler.js';
import { type Frame, newFrame, type Run, type Test } from './frame.js';
import { FromCompiler } from './from.compiler.js';
import { type ChangedRow, compileOutput } from './output.compiler.js';
import { compileInnerQuery } from './query.compiler.js';
import { Join } from './row-source.js';
import { Scope } from './scope.js';
import { columnAt, compileSet, valueFor } from './written-columns.js';

/** What is to be done to one row, decided before any row is written. */
type Step = (run: Run) => ChangedRow;

interface CompiledBranch {
  readonly when: MergeBranch['when'];
  readonly and: Test | undefined;
  readonly plan: (place: PlacedRow | undefined, frame: Frame) => Step;
}

/** MERGE: every row of the source meets its rows of the target, or none. */
export function compileMerge(statement: Merge, environment: Environment): CompiledChange {
  const table = targetTable(statement.target, environment);
  for (const { action } of statement.branches) {
    assertMayWrite(table, action.kind.toUpperCase() as 'INSERT' | 'UPDATE' | 'DELETE', environment);
  }
  const scope = new Scope(undefined);
  const compiler = new FromCompiler(environment, scope, compileInnerQuery);
  const { target } = statement;
  const hints = target.kind === 'table' ? target.hints : [];
  const leaf = compiler.addTable(table, target.kind === 'variable' ? target.name : target.alias, hints, 'write');
  const source = compiler.add(statement.source);
  const expressions = new ExpressionCompiler(environment, scope, compileInnerQuery);
  const pairs = new Join(source, leaf, expressions.condition(statement.on), true);
  compiler.use(statement.on, leaf.sources);
  compiler.settle(pairs);
  const branches = statement.branches.map((branch) => compileBranch(branch, statement, table, expressions));
  const output = statement.output && compileOutput(statement.output, table, environment, scope, compileInnerQuery);
  const bySource = branches.some(({ when }) => when === 'not matched by source');
  return (run) => {
    const frame = newFrame(run, scope.sources.length);
    const steps: Step[] = [];
    const met = new Set<RowSlot>();
    const planned = new Set<RowSlot>();
    const decide = (when: MergeBranch['when'], place: PlacedRow | undefined, at: Frame): void => {
      const branch = branches.find((one) => one.when === when && (one.and === undefined || one.and(at) === true));
      if (branch === undefined) {
        return;
      }
      if (place !== undefined && planned.has(place.slot)) {
        throw rowTouchedTwiceByMerge();
      }
      if (place !== undefined) {
        planned.add(place.slot);
      }
      steps.push(branch.plan(place, { ...at, rows: [...at.rows] }));
    };
    for (const _ of pairs.run(frame)) {
      const place = frame.places[leaf.index];
      if (place !== undefined) {
        met.add(place.slot);
      }
      decide(place === undefined ? 'not matched' : 'matched', place, frame);
    }
    if (bySource) {
      const alone = newFrame(run, scope.sources.length);
      for (const _ of leaf.run(alone)) {
        const place = alone.places[leaf.index];
        if (place !== undefined && !met.has(place.slot)) {
          decide('not matched by source', place, alone);
        }
      }
    }
    return result(
      steps.map((step) => step(run)),
      output,
      frame,
    );
  };
}

function compileBranch(
  { when, and, action }: MergeBranch,
  { target }: Merge,
  table: Table,
  expressions: ExpressionCompiler,
): CompiledBranch {
  const test = and === undefined ? undefined : expressions.condition(and);
  if (action.kind === 'insert') {
    const places = insertPlaces({ columns: action.columns, target }, table, expressions.environment);
    if (places.length !== action.values.length) {
      throw places.length > action.values.length ? moreColumnsThanValues() : fewerColumnsThanValues();
    }
    const values = action.values.map((value, index) => {
      const at = places[index] ?? 0;
      return { at, read: valueFor(columnAt(table, at), value, table, expressions) };
    });
    return {
      when,
      and: test,
      plan: (_place, frame) => {
        const given = new Map(values.map(({ at, read }) => [at, read(frame)] as const));
        return (run) => changed('INSERT', insertRow(table, given, run).row, undefined, frame);
      },
    };
  }
  if (action.kind === 'delete') {
    return {
      when,
      and: test,
      plan: (place, frame) => (run) => {
        if (place !== undefined) {
          table.delete(run.transaction, place, { context: run.context });
        }
        return changed('DELETE', undefined, place?.row, frame);
      },
    };
  }
  const set = compileSet(action.set, table, expressions);
  return {
    when,
    and: test,
    plan: (place, frame) => {
      const to = place === undefined ? undefined : set.apply(place.row, frame);
      return (run) => {
        if (place === undefined || to === undefined) {
          return changed('UPDATE', undefined, undefined, frame);
        }
        const [placed] = table.update(run.transaction, [{ from: place, to: stampedRow(table, to) }], set.ids, {
          context: run.context,
        });
        return changed('UPDATE', placed?.row, place.row, frame);
      };
    },
  };
}

function changed(
  action: ChangedRow['action'],
  inserted: Row | undefined,
  deleted: Row | undefined,
  frame: Frame,
): ChangedRow {
  return { action, inserted, deleted, frame };
}
