import { type SqlValue } from '../../../seam.js';
import {
  aggregateInWhere,
  notGrouped,
  orderByInDerivedTable,
  orderByOutOfRange,
  valuesRowsDiffer,
} from '../../errors/query-faults.js';
import { negativeRowCount } from '../../errors/value-faults.js';
import { compareValues, keyText } from '../../values/compare.js';
import { BIGINT, commonType, type ValueType } from '../../values/value-type.js';
import { DATE_PART_FUNCTIONS } from '../functions/date-functions.js';
import { type Expression, type OrderItem, type Query, type QueryBody, type Select } from '../parse/ast.js';
import { type Aggregate, aggregateOf, containsAggregate, isAggregate } from './aggregates.js';
import { into } from './conversion.js';
import { type Environment } from './environment.js';
import { type CompiledQuery, ExpressionCompiler, type ExpressionHook } from './expression.compiler.js';
import { type Compiled, type Frame, newFrame, type Run } from './frame.js';
import { FromCompiler } from './from.compiler.js';
import { Leaf, type RowSource } from './row-source.js';
import { Scope } from './scope.js';
import { writtenOut } from './select-list.js';

/** A row on its way to the sorter. */
interface Produced {
  readonly out: readonly SqlValue[];
  readonly keys: readonly SqlValue[];
}

interface Ordering {
  readonly type: ValueType;
  readonly descending: boolean;
}

interface Limits {
  readonly offset: Compiled | undefined;
  readonly count: Compiled | undefined;
  readonly withTies: boolean;
}

/** What a body makes, before it is sorted and cut. */
interface Body {
  readonly columns: CompiledQuery['columns'];
  readonly orderings: readonly Ordering[];
  /** Rows come in the order of the first of them. */
  readonly presorted: boolean;
  readonly produce: (run: Run, parent: Frame | undefined) => Iterable<Produced>;
  readonly top: Limits | undefined;
}

/** A query inside of another. @throws 1033 */
export function compileInnerQuery(query: Query, environment: Environment, scope: Scope | undefined): CompiledQuery {
  const top = query.body.kind === 'select' ? query.body.top : undefined;
  if (query.orderBy.length > 0 && top === undefined && query.offset === undefined) {
    throw orderByInDerivedTable();
  }
  return compileQuery(query, environment, scope);
}

/** A query, ready to run. */
export function compileQuery(query: Query, around: Environment, scope: Scope | undefined): CompiledQuery {
  const environment = around.withCommonTables(query.with);
  const body = compileBody(query.body, query.orderBy, environment, scope);
  const limit = new ExpressionCompiler(environment, new Scope(scope), compileInnerQuery);
  const limits: Limits | undefined =
    query.offset === undefined
      ? body.top
      : {
          offset: limit.expression(query.offset),
          count: query.fetch === undefined ? undefined : limit.expression(query.fetch),
          withTies: false,
        };
  return {
    columns: body.columns,
    rows: (run, parent) => sortedAndCut(body, limits, run, parent),
  };
}

function compileBody(
  body: QueryBody,
  orderBy: readonly OrderItem[],
  environment: Environment,
  scope: Scope | undefined,
): Body {
  return body.kind === 'select'
    ? new SelectCompiler(body, environment, scope).compile(orderBy)
    : compileUnion(body, orderBy, environment, scope);
}

function compileUnion(
  { all, left, right }: QueryBody & { readonly kind: 'union' },
  orderBy: readonly OrderItem[],
  environment: Environment,
  scope: Scope | undefined,
): Body {
  const sides = [left, right].map((one) => compileBody(one, [], environment, scope)) as [Body, Body];
  const [first, second] = sides;
  if (first.columns.length !== second.columns.length) {
    throw valuesRowsDiffer();
  }
  const columns = first.columns.map(({ name, type }, at) => ({
    name,
    type: commonType(type, second.columns[at]?.type ?? type),
  }));
  const types = columns.map(({ type }) => type);
  const outputs = orderBy.map(({ value }) => outputOf(value, columns, []));
  return {
    columns,
    orderings: orderBy.map(({ descending }, at) => ({ descending, type: types[outputs[at] ?? 0] ?? BIGINT })),
    presorted: false,
    top: undefined,
    *produce(run, parent) {
      const seen = new Set<string>();
      for (const side of sides) {
        for (const row of sortedAndCut(side, side.top, run, parent)) {
          const out = row.map((value, at) =>
            into(
              { type: side.columns[at]?.type ?? BIGINT, evaluate: () => value },
              types[at] ?? BIGINT,
            )(newFrame(run, 0, parent)),
          );
          const key = all ? '' : keyText(out, types);
          if (all || !seen.has(key)) {
            seen.add(key);
            yield { out, keys: outputs.map((at) => out[at ?? 0] ?? null) };
          }
        }
      }
    },
  };
}

/** One SELECT … FROM … WHERE … GROUP BY … HAVING. */
class SelectCompiler {
  readonly #scope: Scope;
  readonly #expressions: ExpressionCompiler;

  constructor(
    private readonly select: Select,
    private readonly environment: Environment,
    parent: Scope | undefined,
  ) {
    this.#scope = new Scope(parent);
    this.#expressions = new ExpressionCompiler(environment, this.#scope, compileInnerQuery);
  }

  compile(orderBy: readonly OrderItem[]): Body {
    const { select } = this;
    if (containsAggregate(select.where)) {
      throw aggregateInWhere();
    }
    const from = new FromCompiler(this.environment, this.#scope, compileInnerQuery);
    const source = select.from === undefined ? undefined : from.compile(select.from, select.where);
    const where = select.where === undefined ? undefined : this.#expressions.condition(select.where);
    const list = writtenOut(select.items, this.#scope);
    const grouping = this.#grouping(list, orderBy);
    const expressions = grouping?.expressions ?? this.#expressions;
    const values = list.map(({ value }) => expressions.expression(value));
    const having = select.having === undefined ? undefined : expressions.condition(select.having);
    const columns = list.map(({ name }, at) => ({ name, type: (values[at] as Compiled).type }));
    const sorters = orderBy.map(({ value }) => {
      const at = outputOf(value, columns, list);
      return at === undefined ? expressions.expression(value) : at;
    });
    const { sources } = this.#scope;
    const produced = (frame: Frame): Produced => {
      const out = values.map((one) => one.evaluate(frame));
      return { out, keys: sorters.map((one) => (typeof one === 'number' ? (out[one] ?? null) : one.evaluate(frame))) };
    };
    const frames = function* (run: Run, parent: Frame | undefined): Generator<Frame> {
      const frame = newFrame(run, sources.length, parent);
      for (const _ of source?.run(frame) ?? [undefined]) {
        if (where === undefined || where(frame) === true) {
          yield frame;
        }
      }
    };
    const grouped = grouping === undefined ? frames : grouping.group(frames, sources.length);
    const types = columns.map(({ type }) => type);
    return {
      columns,
      orderings: sorters.map((one, at) => ({
        type: typeof one === 'number' ? (types[one] as ValueType) : one.type,
        descending: orderBy[at]?.descending ?? false,
      })),
      presorted: grouping === undefined && typeof sorters[0] === 'object' && this.#isSorted(source, orderBy[0]),
      top: this.#top(),
      *produce(run, parent) {
        const seen = new Set<string>();
        for (const frame of grouped(run, parent)) {
          if (having !== undefined && having(frame) !== true) {
            continue;
          }
          const row = produced(frame);
          const key = select.distinct ? keyText(row.out, types) : '';
          if (!select.distinct || !seen.has(key)) {
            seen.add(key);
            yield row;
          }
        }
      },
    };
  }

  /** Whether a source gives its rows in this order by itself. */
  #isSorted(source: RowSource | undefined, first: OrderItem | undefined): boolean {
    if (
      !(source instanceof Leaf) ||
      source.sortedBy === undefined ||
      first?.value.kind !== 'column' ||
      first.descending
    ) {
      return false;
    }
    const place = this.#scope.resolve(first.value.parts);
    return place.depth === 0 && place.source === source.index && place.column === source.sortedBy;
  }

  #top(): Limits | undefined {
    const { top } = this.select;
    if (top === undefined) {
      return undefined;
    }
    const outside = new ExpressionCompiler(this.environment, new Scope(this.#scope.parent), compileInnerQuery);
    return { offset: undefined, count: outside.expression(top.count), withTies: top.withTies };
  }

  #grouping(list: readonly { readonly value: Expression }[], orderBy: readonly OrderItem[]): Grouping | undefined {
    const { groupBy, having } = this.select;
    const aggregated =
      list.some(({ value }) => containsAggregate(value)) ||
      containsAggregate(having) ||
      orderBy.some(({ value }) => containsAggregate(value));
    return groupBy.length === 0 && !aggregated && having === undefined
      ? undefined
      : new Grouping(groupBy, this.#expressions, this.#scope, this.environment);
  }
}

/** Rows of equal values become one, with the aggregates over them. */
class Grouping {
  readonly expressions: ExpressionCompiler;
  readonly #keys: readonly { readonly identity: string; readonly value: Compiled }[];
  readonly #aggregates: {
    readonly identity: string;
    readonly argument: Compiled | undefined;
    readonly of: Aggregate;
  }[] = [];

  constructor(
    groupBy: readonly Expression[],
    private readonly rows: ExpressionCompiler,
    private readonly scope: Scope,
    environment: Environment,
  ) {
    this.#keys = groupBy.map((value) => ({ identity: this.#identity(value), value: rows.expression(value) }));
    const hook: ExpressionHook = (expression) => this.#valueOf(expression);
    this.expressions = new ExpressionCompiler(environment, scope, compileInnerQuery, hook);
  }

  group(frames: (run: Run, parent: Frame | undefined) => Iterable<Frame>, sources: number) {
    const keys = this.#keys.map(({ value }) => value);
    const types = keys.map(({ type }) => type);
    const aggregates = this.#aggregates;
    return function* (run: Run, parent: Frame | undefined): Generator<Frame> {
      const groups = new Map<
        string,
        { readonly values: readonly SqlValue[]; readonly given: SqlValue[][]; rows: number }
      >();
      for (const frame of frames(run, parent)) {
        const values = keys.map((one) => one.evaluate(frame));
        const key = keyText(values, types);
        const group = groups.get(key) ?? { values, given: aggregates.map(() => []), rows: 0 };
        groups.set(key, group);
        group.rows++;
        aggregates.forEach(({ argument }, at) => {
          const value = argument?.evaluate(frame) ?? null;
          if (value !== null) {
            group.given[at]?.push(value);
          }
        });
      }
      if (groups.size === 0 && keys.length === 0) {
        groups.set('', { values: [], given: aggregates.map(() => []), rows: 0 });
      }
      for (const { values, given, rows } of groups.values()) {
        const results = aggregates.map(({ of }, at) => of.result((given[at] ?? []) as NonNullable<SqlValue>[], rows));
        yield { ...newFrame(run, sources, parent), group: [...values, ...results] };
      }
    };
  }

  #valueOf(expression: Expression): Compiled | undefined {
    const identity = this.#identity(expression);
    const at = this.#keys.findIndex((key) => key.identity === identity);
    const key = this.#keys[at];
    if (key !== undefined) {
      return { type: key.value.type, evaluate: ({ group }) => group?.[at] ?? null };
    }
    if (isAggregate(expression)) {
      return this.#aggregate(expression, identity);
    }
    if (expression.kind === 'column') {
      const place = this.scope.resolve(expression.parts);
      if (place.depth === 0) {
        const source = this.scope.sources[place.source];
        throw notGrouped(`${source?.exposedName ?? ''}.${source?.columns[place.column]?.name ?? ''}`);
      }
    }
    return undefined;
  }

  #aggregate(call: Expression & { readonly kind: 'call' }, identity: string): Compiled {
    let at = this.#aggregates.findIndex((one) => one.identity === identity);
    if (at < 0) {
      const [first] = call.args;
      const argument = first === undefined ? undefined : this.rows.expression(first);
      at = this.#aggregates.push({ identity, argument, of: aggregateOf(call.name, argument?.type, call.distinct) }) - 1;
    }
    const place = this.#keys.length + at;
    return {
      type: (this.#aggregates[at] as { readonly of: Aggregate }).of.type,
      evaluate: ({ group }) => group?.[place] ?? null,
    };
  }

  /** Equal for expressions that mean the same: `t.a` and `a`. */
  #identity(expression: Expression): string {
    return JSON.stringify(expression, (_key, value: unknown) => {
      if (typeof value === 'bigint') {
        return `${value}n`;
      }
      const node = value as Partial<Expression> | null;
      if (node !== null && typeof node === 'object' && node.kind === 'column') {
        const { depth, source, column } = this.scope.resolve((node as Expression & { readonly kind: 'column' }).parts);
        return { depth, source, column };
      }
      if (
        node !== null &&
        typeof node === 'object' &&
        node.kind === 'call' &&
        Object.hasOwn(DATE_PART_FUNCTIONS, node.name ?? '')
      ) {
        // The first is a word, no column.
        const [word, ...rest] = node.args ?? [];
        return { name: node.name, args: [word?.kind === 'column' ? word.parts : word, ...rest] };
      }
      return value;
    });
  }
}

/** Which output an item of ORDER BY names: by position, by name, or by being written the same. @throws 108 */
function outputOf(
  value: Expression,
  columns: readonly { readonly name: string }[],
  list: readonly { readonly value: Expression }[],
): number | undefined {
  if (value.kind === 'literal' && typeof value.value === 'bigint') {
    if (value.value < 1n || value.value > BigInt(columns.length)) {
      throw orderByOutOfRange(value.value);
    }
    return Number(value.value) - 1;
  }
  if (value.kind !== 'column') {
    const text = written(value);
    const same = list.findIndex((one) => written(one.value) === text);
    return same < 0 ? undefined : same;
  }
  const name = value.parts.length === 1 ? (value.parts[0] ?? '').toLowerCase() : undefined;
  const at = columns.findIndex((one) => one.name.toLowerCase() === name);
  return at < 0 ? undefined : at;
}

function* sortedAndCut(
  { orderings, presorted, produce }: Body,
  limits: Limits | undefined,
  run: Run,
  parent: Frame | undefined,
): Generator<readonly SqlValue[]> {
  const { from, to } = bounds(limits, run, parent);
  const compare = (left: Produced, right: Produced): number => {
    for (const [at, { type, descending }] of orderings.entries()) {
      const order = compareValues(left.keys[at] ?? null, right.keys[at] ?? null, type);
      if (order !== 0) {
        return descending ? -order : order;
      }
    }
    return 0;
  };
  if (to <= from) {
    return;
  }
  let at = 0;
  let last: Produced | undefined;
  const [first] = orderings;
  const produced = produce(run, parent);
  const rows = presorted && first !== undefined ? untilEnough(produced, to, first.type) : produced;
  for (const row of first === undefined ? rows : [...rows].sort(compare)) {
    if (at >= to && !(limits?.withTies === true && last !== undefined && compare(last, row) === 0)) {
      return;
    }
    if (at >= from) {
      yield row.out;
    }
    last = row;
    at++;
    if (at >= to && limits?.withTies !== true) {
      return;
    }
  }
}

/** The first rows and all that are equal to the last of them in what they are sorted by: no other can be among the first. */
function* untilEnough(rows: Iterable<Produced>, count: number, type: ValueType): Generator<Produced> {
  let given = 0;
  let last: Produced | undefined;
  for (const row of rows) {
    if (given >= count && last !== undefined && compareValues(last.keys[0] ?? null, row.keys[0] ?? null, type) !== 0) {
      return;
    }
    yield row;
    given++;
    last = row;
  }
}

/** @throws 127 */
function bounds(
  limits: Limits | undefined,
  run: Run,
  parent: Frame | undefined,
): { readonly from: number; readonly to: number } {
  const frame = newFrame(run, 0, parent);
  const read = (value: Compiled | undefined): number | undefined => {
    const number = value === undefined ? undefined : into(value, BIGINT)(frame);
    if (number !== undefined && number !== null && (number as bigint) < 0n) {
      throw negativeRowCount();
    }
    return number === undefined ? undefined : Number(number);
  };
  const from = read(limits?.offset) ?? 0;
  return { from, to: from + (read(limits?.count) ?? Number.POSITIVE_INFINITY) };
}

function written(value: Expression): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? `${one}n` : one));
}
