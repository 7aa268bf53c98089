import { type SqlColumn, type SqlReply, type SqlValue } from '../../../seam.js';
import { contextType } from '../../errors/object-faults.js';
import { unsupported } from '../../errors/fault.js';
import { snapshotTooLate } from '../../errors/transaction-faults.js';
import { type ValueType } from '../../values/value-type.js';
import { type ChangeResult, compileDelete, compileInsert, compileUpdate } from '../compile/change.compiler.js';
import { into } from '../compile/conversion.js';
import { type Environment } from '../compile/environment.js';
import { ExpressionCompiler } from '../compile/expression.compiler.js';
import { newFrame, type Run, type Test } from '../compile/frame.js';
import { compileMerge } from '../compile/merge.compiler.js';
import { compileInnerQuery, compileQuery } from '../compile/query.compiler.js';
import { requireTable } from '../compile/resolve-table.js';
import { Scope } from '../compile/scope.js';
import {
  type Condition,
  type Delete,
  type Expression,
  type Insert,
  type Merge,
  type Query,
  type StatementBody,
  type Update,
} from '../parse/ast.js';
import { define, isDefinition, makeTableVariable } from './definitions.js';

/** What a statement answers, and how many rows it counted. */
export interface Answer {
  readonly replies: readonly SqlReply[];
  /** `undefined` = it counts nothing. */
  readonly count: number | undefined;
}

/** A statement, ready to run. */
export type Plan = (run: Run) => Answer;

const NOTHING: Answer = { replies: [], count: undefined };

/** Statements that the batch itself runs: flow, transactions, calls. */
export type FlowKind =
  | 'if'
  | 'while'
  | 'block'
  | 'try'
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'save'
  | 'return'
  | 'break'
  | 'continue'
  | 'execute'
  | 'executeText'
  | 'use'
  | 'print'
  | 'throw'
  | 'raiserror';

/** A statement that is one step. @throws whatever is wrong with it before it runs: 207, 208, 137, 22105 … */
export function planOf(statement: Exclude<StatementBody, { readonly kind: FlowKind }>, environment: Environment): Plan {
  if (isDefinition(statement)) {
    return (run) => {
      define(statement, run, environment.of(run.session));
      return NOTHING;
    };
  }
  switch (statement.kind) {
    case 'query':
      return queryPlan(statement.query, environment);
    case 'insert':
    case 'update':
    case 'delete':
    case 'merge':
      return changePlan(statement, environment);
    case 'tracked':
      return trackedPlan(statement.context, statement.statement, environment);
    case 'declare':
      return declarePlan(statement.variables, environment);
    case 'declareTable': {
      const key = statement.name.toLowerCase();
      environment.tableVariables.set(key, makeTableVariable(statement.name, statement.body, environment));
      return () => NOTHING;
    }
    case 'set': {
      const type = environment.variableType(statement.variable);
      const value = into(expressionsOf(environment).expression(statement.value), type);
      const key = statement.variable.toLowerCase();
      return (run) => {
        run.variables.set(key, value(newFrame(run, 0)));
        return NOTHING;
      };
    }
    case 'setOption':
    case 'setIdentityInsert':
    case 'setIsolation':
    case 'setNumber':
    default:
      return settingPlan(statement, environment);
  }
}

/** A condition of IF or WHILE. */
export function conditionOf(condition: Condition, environment: Environment): Test {
  return expressionsOf(environment).condition(condition);
}

/** A value outside of any query. */
export function valueOf(expression: Expression, environment: Environment): (run: Run) => SqlValue {
  const { evaluate } = expressionsOf(environment).expression(expression);
  return (run) => evaluate(newFrame(run, 0));
}

export function expressionsOf(environment: Environment): ExpressionCompiler {
  return new ExpressionCompiler(environment, new Scope(undefined), compileInnerQuery);
}

function queryPlan(query: Query, environment: Environment): Plan {
  const compiled = compileQuery(query, environment, undefined);
  const assigned = assignments(query);
  if (assigned !== undefined) {
    const targets = assigned.map((name, at) => {
      const to = environment.variableType(name);
      const type = compiled.columns[at]?.type ?? to;
      return { key: name.toLowerCase(), convert: (value: SqlValue) => into({ type, evaluate: () => value }, to) };
    });
    return (run) => {
      let count = 0;
      for (const row of compiled.rows(run, undefined)) {
        count++;
        targets.forEach(({ key, convert }, at) => run.variables.set(key, convert(row[at] ?? null)(newFrame(run, 0))));
      }
      return { replies: [], count };
    };
  }
  return (run) => answerOf(compiled.columns, [...compiled.rows(run, undefined)]);
}

function assignments({ body }: Query): readonly string[] | undefined {
  if (body.kind !== 'select') {
    return undefined;
  }
  const names = body.items.flatMap((item) => (item.kind === 'assign' ? [item.variable] : []));
  return names.length === 0 ? undefined : names;
}

function changePlan(statement: Insert | Update | Delete | Merge, environment: Environment): Plan {
  const change = compileChange(statement, environment);
  return (run) => {
    const { columns, rows, count } = change(run);
    return columns === undefined ? { replies: [], count } : { ...answerOf(columns, rows), count };
  };
}

function compileChange(
  statement: Insert | Update | Delete | Merge,
  environment: Environment,
): (run: Run) => ChangeResult {
  switch (statement.kind) {
    case 'insert':
      return compileInsert(statement, environment);
    case 'update':
      return compileUpdate(statement, environment);
    case 'delete':
      return compileDelete(statement, environment);
    case 'merge':
    default:
      return compileMerge(statement, environment);
  }
}

/** @throws 22109 */
function trackedPlan(context: Expression, statement: Insert | Update | Delete | Merge, environment: Environment): Plan {
  const { type, evaluate } = expressionsOf(environment).expression(context);
  const binary = type.name === 'varbinary' || type.name === 'binary';
  if (!binary || type.length === 'max' || (type.length ?? 1) > 128) {
    throw contextType();
  }
  const change = changePlan(statement, environment);
  return (run) => change({ ...run, context: evaluate(newFrame(run, 0)) as Uint8Array | null });
}

function declarePlan(
  variables: readonly { readonly name: string; readonly type: ValueType; readonly value: Expression | undefined }[],
  environment: Environment,
): Plan {
  const steps = variables.map(({ name, type, value }) => {
    const key = name.toLowerCase();
    const read = value === undefined ? () => null : into(expressionsOf(environment).expression(value), type);
    environment.variables.set(key, type);
    return { key, read };
  });
  return (run) => {
    steps.forEach(({ key, read }) => run.variables.set(key, read(newFrame(run, 0))));
    return NOTHING;
  };
}

function settingPlan(
  statement: Extract<
    StatementBody,
    { readonly kind: 'setOption' | 'setIdentityInsert' | 'setIsolation' | 'setNumber' }
  >,
  environment: Environment,
): Plan {
  switch (statement.kind) {
    case 'setIsolation':
      return ({ session }) => {
        const { transaction } = session;
        if (
          statement.level === 'snapshot' &&
          transaction !== undefined &&
          transaction.startedUnder !== 'snapshot' &&
          transaction.work > 0
        ) {
          throw snapshotTooLate(session.database.name);
        }
        session.isolation = statement.level;
        return NOTHING;
      };
    case 'setOption':
      return ({ session }) => {
        const on = statement.value.toUpperCase() === 'ON';
        session.xactAbort = statement.names.includes('XACT_ABORT') ? on : session.xactAbort;
        session.noCount = statement.names.includes('NOCOUNT') ? on : session.noCount;
        return NOTHING;
      };
    case 'setIdentityInsert': {
      const table = requireTable(statement.table, environment);
      const set = ({ session }: Pick<Run, 'session'>): void => {
        session.identityInsert = statement.on ? table.qualifiedName.toLowerCase() : undefined;
      };
      // What the batch says after it is compiled for it.
      set(environment);
      return (run) => {
        set(run);
        return NOTHING;
      };
    }
    case 'setNumber':
    default: {
      const value = valueOf(statement.value, environment);
      return (run) => {
        const { session } = run;
        const number = Number(value(run));
        if (statement.name === 'LOCK_TIMEOUT') {
          session.lockTimeoutMs = number;
        } else if (statement.name === 'DEADLOCK_PRIORITY') {
          session.deadlockPriority = number;
        } else if (number !== 0) {
          throw unsupported('SET ROWCOUNT');
        }
        return NOTHING;
      };
    }
  }
}

function answerOf(columns: readonly SqlColumn[], rows: readonly (readonly SqlValue[])[]): Answer {
  return {
    replies: [
      { kind: 'columns', columns: columns.map(({ name, type }) => ({ name, type: outside(type) })) },
      ...rows.map((values) => ({ kind: 'row', values }) as const),
    ],
    count: rows.length,
  };
}

/** A type without what only the engine knows. */
function outside({ name, length, precision, scale, nullable }: ValueType): SqlColumn['type'] {
  return {
    name,
    nullable,
    ...(length === undefined ? {} : { length }),
    ...(precision === undefined ? {} : { precision }),
    ...(scale === undefined ? {} : { scale }),
  };
}

export { outside as typeOutside };
