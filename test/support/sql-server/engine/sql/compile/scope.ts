import { ambiguousColumn, invalidColumn, sameExposedName, unboundName } from '../../errors/query-faults.js';
import { type ValueType } from '../../values/value-type.js';
import { type Name } from '../parse/ast.js';
import { type Compiled } from './frame.js';

/** A column that a query can name. */
export interface ScopeColumn {
  readonly name: string;
  readonly type: ValueType;
}

/** A source in the FROM of a query. */
export interface ScopeSource {
  /** Its alias, else the name of the table. */
  readonly exposedName: string;
  /** Of a table without alias: `schema.table` names it, too. */
  readonly schema: string | undefined;
  readonly columns: readonly ScopeColumn[];
  /** Asked when a column is named: permission to read it. */
  readonly onUse?: (column: string) => void;
}

/** Where a column was found. */
export interface ColumnPlace {
  /** Of how many queries around: 0 = this one. */
  readonly depth: number;
  readonly source: number;
  readonly column: number;
  readonly type: ValueType;
}

/** The names that a query knows; queries inside of it know them, too. */
export class Scope {
  readonly sources: ScopeSource[] = [];
  /** Sources of this scope that were named since it was last set. */
  used: Set<number> | undefined;

  constructor(readonly parent: Scope | undefined) {}

  /** @returns its place. @throws 1013 */
  add(source: ScopeSource): number {
    const same = this.sources.some(
      (one) =>
        one.exposedName.toLowerCase() === source.exposedName.toLowerCase() &&
        (one.schema ?? '').toLowerCase() === (source.schema ?? '').toLowerCase(),
    );
    if (same) {
      throw sameExposedName(source.exposedName);
    }
    return this.sources.push(source) - 1;
  }

  /** @throws 207, 209, 4104 */
  resolve(parts: Name): ColumnPlace {
    const place = this.#find(parts, 0);
    if (place === undefined) {
      throw parts.length === 1 ? invalidColumn(parts[0] ?? '') : this.#unbound(parts);
    }
    return place;
  }

  #find(parts: Name, depth: number): ColumnPlace | undefined {
    const name = (parts.at(-1) ?? '').toLowerCase();
    const found = this.sources.flatMap((source, index) => {
      const column = isNamed(source, parts) ? source.columns.findIndex((one) => one.name.toLowerCase() === name) : -1;
      return column < 0 ? [] : [{ depth, source: index, column, type: (source.columns[column] as ScopeColumn).type }];
    });
    if (found.length > 1) {
      throw ambiguousColumn(parts.at(-1) ?? '');
    }
    const [place] = found;
    if (place === undefined) {
      return this.parent === undefined ? undefined : this.parent.#find(parts, depth + 1);
    }
    this.used?.add(place.source);
    this.sources[place.source]?.onUse?.(parts.at(-1) ?? '');
    return place;
  }

  /** The table is there and the column is not: 207; otherwise 4104. */
  #unbound(parts: Name): Error {
    const known = this.sources.some((source) => isNamed(source, parts));
    const above = this.parent;
    if (known) {
      return invalidColumn(parts.at(-1) ?? '');
    }
    return above === undefined ? unboundName(parts.join('.')) : above.#unbound(parts);
  }
}

/** A column as an expression. */
export function columnReader({ depth, source, column, type }: ColumnPlace): Compiled {
  if (depth === 0) {
    return { type, evaluate: ({ rows }) => rows[source]?.[column] ?? null };
  }
  return {
    type,
    evaluate: (frame) => {
      let at = frame;
      for (let up = depth; up > 0 && at.parent !== undefined; up--) {
        at = at.parent;
      }
      return at.rows[source]?.[column] ?? null;
    },
  };
}

function isNamed(source: ScopeSource, parts: Name): boolean {
  const [table, schema] = parts.slice(0, -1).toReversed();
  return (
    (table === undefined || table.toLowerCase() === source.exposedName.toLowerCase()) &&
    (schema === undefined || schema === '' || schema.toLowerCase() === source.schema?.toLowerCase())
  );
}
