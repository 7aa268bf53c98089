import { unsupported } from '../../errors/fault.js';
import {
  derivedTableColumns,
  invalidObject,
  namelessColumn,
  columnNamedTwice,
  undeclaredVariable,
} from '../../errors/query-faults.js';
import { assertReadable } from '../../security/permissions.js';
import { type Table } from '../../storage/table.js';
import { type ValueType } from '../../values/value-type.js';
import { findCatalogView } from '../catalog/catalog.js';
import { type Condition, type Expression, type Query, type TableSource } from '../parse/ast.js';
import { changesReader, versionReader } from './change-table.compiler.js';
import { into, meeting } from './conversion.js';
import { type Environment } from './environment.js';
import { ExpressionCompiler, type QueryCompiler } from './expression.compiler.js';
import { type Frame, type Test } from './frame.js';
import { resolveTable } from './resolve-table.js';
import { canLookUp, Join, Leaf, type LeafReader, type LeafRow, type RowSource } from './row-source.js';
import { type Scope, type ScopeColumn } from './scope.js';
import { accessTo, type Purpose } from './table-access.js';

/** A condition, and the sources that it may keep from being read. */
interface Usable {
  readonly condition: Condition;
  readonly sources: ReadonlySet<number>;
}

/** How a table is read when it is written to. */
export interface FromOptions {
  /** Tables of this FROM that are the target of the statement, by their place in the scope. */
  readonly purposeOf?: (table: Table) => Purpose;
}

/** Sources and joins; finds which conditions lead straight to a row. */
export class FromCompiler {
  readonly #leaves: Leaf[] = [];
  readonly #usable: Usable[] = [];
  readonly #expressions: ExpressionCompiler;

  constructor(
    private readonly environment: Environment,
    private readonly scope: Scope,
    private readonly compileQuery: QueryCompiler,
    private readonly options: FromOptions = {},
  ) {
    this.#expressions = new ExpressionCompiler(environment, scope, compileQuery);
  }

  compile(source: TableSource, where: Condition | undefined): RowSource {
    const root = this.#source(source);
    this.use(where, root.sources);
    this.settle(root);
    return root;
  }

  /** Adds a source without settling: MERGE and UPDATE put several side by side. */
  add(source: TableSource): RowSource {
    return this.#source(source);
  }

  /** A table that is known already: the target of a statement. */
  addTable(table: Table, alias: string | undefined, hints: readonly string[], purpose: Purpose): Leaf {
    return this.#table(table, alias, hints, purpose);
  }

  /** A condition that every row must meet. */
  use(condition: Condition | undefined, sources: readonly number[]): void {
    if (condition !== undefined) {
      this.#usable.push({ condition, sources: new Set(sources) });
    }
  }

  /** Looks for equalities, in the order in which sources are read. */
  settle(root: RowSource): void {
    const before = new Set<number>();
    for (const index of root.sources) {
      const leaf = this.#leaves.find((one) => one.index === index);
      if (leaf !== undefined) {
        this.#findEqualities(leaf, before);
      }
      before.add(index);
    }
  }

  #source(source: TableSource): RowSource {
    switch (source.kind) {
      case 'table':
        return this.#named(source);
      case 'variable': {
        const table = this.environment.tableVariables.get(source.name.toLowerCase());
        if (table === undefined) {
          throw undeclaredVariable(source.name);
        }
        return this.#tableVariable(table, source.alias ?? source.name);
      }
      case 'derived':
        return this.#derived(source.query, source.alias, source.columns, this.environment);
      case 'values':
        return this.#values(source);
      case 'changes':
        return this.#leaf(
          source.alias ?? '',
          changesReader(source, this.#expressions, resolveTable(source.name, this.environment)),
          source.columns,
        );
      case 'version':
        return this.#leaf(
          source.alias ?? '',
          versionReader(source, this.#expressions, resolveTable(source.name, this.environment)),
          source.columns,
        );
      case 'join':
      default:
        return this.#join(source);
    }
  }

  #join(source: TableSource & { readonly kind: 'join' }): RowSource {
    if (source.type === 'full') {
      throw unsupported('FULL JOIN');
    }
    const left = this.#source(source.left);
    const apply = source.type.endsWith('apply');
    const right = apply ? this.#lateral(source.right) : this.#source(source.right);
    const on: Test | undefined = source.on === undefined ? undefined : this.#expressions.condition(source.on);
    const [outer, inner] = source.type === 'right' ? [right, left] : [left, right];
    const keeps = source.type === 'left' || source.type === 'right' || source.type === 'outer apply';
    this.use(source.on, keeps ? inner.sources : [...outer.sources, ...inner.sources]);
    return new Join(outer, inner, on, keeps);
  }

  /** The right side of APPLY sees the sources before it. */
  #lateral(source: TableSource): RowSource {
    if (source.kind !== 'derived') {
      return this.#source(source);
    }
    const query = this.compileQuery(source.query, this.environment, this.scope);
    return this.#leaf(
      source.alias,
      {
        columns: query.columns,
        reader: { all: (frame) => asLeafRows(query.rows(frame.run, frame)), lateral: true },
      },
      source.columns,
    );
  }

  #named({ name, alias, hints }: TableSource & { readonly kind: 'table' }): RowSource {
    const common = name.length === 1 ? this.environment.commonTables.get((name[0] ?? '').toLowerCase()) : undefined;
    if (common !== undefined) {
      return this.#derived(common.table.query, alias ?? common.table.name, common.table.columns, common.environment);
    }
    const view = findCatalogView(name, this.environment.session);
    if (view !== undefined) {
      const rows = view.rows;
      return this.#leaf(alias ?? view.name, {
        columns: view.columns,
        reader: { all: (frame) => asLeafRows(rows(frame.run)) },
      });
    }
    const table = resolveTable(name, this.environment);
    if (table === undefined) {
      throw invalidObject(name.join('.'));
    }
    return this.#table(table, alias, hints, this.options.purposeOf?.(table) ?? 'read');
  }

  #table(table: Table, alias: string | undefined, hints: readonly string[], purpose: Purpose): Leaf {
    const onUse = assertReadable(this.environment.session, table);
    const columns = table.columns.map(({ name, type }) => ({ name, type }));
    const index = this.scope.add({
      exposedName: alias ?? table.name,
      schema: alias === undefined ? table.schema : undefined,
      columns,
      ...(onUse === undefined ? {} : { onUse }),
    });
    const reader: LeafReader = {
      all: (frame) => placed(table.scan(accessTo(table, hints, purpose, frame.run))),
      ...(table.primaryKey === undefined
        ? {}
        : {
            byKey: {
              columns: table.primaryKey.columns,
              find: (frame: Frame, key: string) => {
                const found = table.seek(key, accessTo(table, hints, purpose, frame.run));
                return found === undefined ? undefined : { row: found.row, place: found };
              },
            },
          }),
    };
    const leaf = new Leaf(index, columns, reader);
    this.#leaves.push(leaf);
    return leaf;
  }

  #tableVariable(table: Table, alias: string): RowSource {
    const columns = table.columns.map(({ name, type }) => ({ name, type }));
    return this.#leaf(alias, {
      columns,
      reader: { all: ({ run }) => placed(table.scan({ kind: 'dirty', transaction: run.transaction })) },
    });
  }

  #derived(query: Query, alias: string, names: readonly string[], environment: Environment): RowSource {
    const compiled = this.compileQuery(query, environment, this.scope.parent);
    const key = {};
    return this.#leaf(
      alias,
      {
        columns: compiled.columns,
        reader: {
          all: (frame) => remembered(frame, key, () => [...asLeafRows(compiled.rows(frame.run, frame.parent))]),
        },
      },
      names,
    );
  }

  #values({ rows, alias, columns: names }: TableSource & { readonly kind: 'values' }): RowSource {
    const compiled = rows.map((row) => row.map((one: Expression) => this.#expressions.expression(one)));
    const width = compiled[0]?.length ?? 0;
    const types = Array.from({ length: width }, (_, at) => meeting(compiled.flatMap((row) => row.slice(at, at + 1))));
    const readers = compiled.map((row) => row.map((one, at) => into(one, types[at] as ValueType)));
    return this.#leaf(
      alias,
      {
        columns: types.map((type) => ({ name: '', type })),
        reader: { all: (frame) => readers.map((row) => ({ row: row.map((read) => read(frame)) })) },
      },
      names,
    );
  }

  #leaf(
    alias: string,
    { columns, reader }: { readonly columns: readonly ScopeColumn[]; readonly reader: LeafReader },
    names: readonly string[] = [],
  ): Leaf {
    const named = renamed(alias, columns, names);
    const index = this.scope.add({ exposedName: alias, schema: undefined, columns: named });
    const leaf = new Leaf(index, named, reader);
    this.#leaves.push(leaf);
    return leaf;
  }

  #findEqualities(leaf: Leaf, before: ReadonlySet<number>): void {
    for (const { condition, sources } of this.#usable) {
      if (sources.has(leaf.index)) {
        for (const part of conjuncts(condition)) {
          this.#tryEquality(leaf, part.left, part.right, before);
          this.#tryEquality(leaf, part.right, part.left, before);
        }
      }
    }
  }

  #tryEquality(leaf: Leaf, column: Expression, value: Expression, before: ReadonlySet<number>): void {
    if (column.kind !== 'column') {
      return;
    }
    const place = this.scope.resolve(column.parts);
    if (place.depth > 0 || place.source !== leaf.index || leaf.equalities.some((one) => one.column === place.column)) {
      return;
    }
    this.scope.used = new Set();
    const compiled = this.#expressions.expression(value);
    const { used } = this.scope;
    this.scope.used = undefined;
    if ([...used].every((source) => before.has(source)) && canLookUp(compiled.type, place.type)) {
      leaf.equalities.push({ column: place.column, value: compiled, joins: used.size > 0 });
    }
  }
}

/** The comparisons by `=` that must all hold. */
function conjuncts(condition: Condition): readonly (Condition & { readonly kind: 'compare' })[] {
  if (condition.kind === 'and') {
    return [...conjuncts(condition.left), ...conjuncts(condition.right)];
  }
  return condition.kind === 'compare' && condition.operator === '=' ? [condition] : [];
}

/** @throws 8155, 8156, 8158, 8159 */
function renamed(alias: string, columns: readonly ScopeColumn[], names: readonly string[]): readonly ScopeColumn[] {
  if (names.length > 0 && names.length !== columns.length) {
    throw derivedTableColumns(alias, names.length < columns.length);
  }
  const seen = new Set<string>();
  return columns.map(({ name, type }, at) => {
    const given = names[at] ?? name;
    if (given === '') {
      throw namelessColumn(at + 1, alias);
    }
    if (seen.has(given.toLowerCase())) {
      throw columnNamedTwice(given, alias);
    }
    seen.add(given.toLowerCase());
    return { name: given, type };
  });
}

function* placed(rows: Iterable<NonNullable<LeafRow['place']>>): Generator<LeafRow> {
  for (const place of rows) {
    yield { row: place.row, place };
  }
}

function* asLeafRows(rows: Iterable<LeafRow['row']>): Generator<LeafRow> {
  for (const row of rows) {
    yield { row };
  }
}

function remembered<T>(frame: Frame, key: object, make: () => T): T {
  const known = frame.memory.get(key) as T | undefined;
  if (known !== undefined) {
    return known;
  }
  const made = make();
  frame.memory.set(key, made);
  return made;
}
