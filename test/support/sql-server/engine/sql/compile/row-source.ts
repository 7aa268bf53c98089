import { type SqlValue } from '../../../seam.js';
import { type PlacedRow } from '../../storage/table.js';
import { type Row } from '../../storage/row-slot.js';
import { keyText } from '../../values/compare.js';
import { isInteger, isText, type ValueType } from '../../values/value-type.js';
import { convertValue } from '../../values/convert.js';
import { type Compiled, type Frame, type Test } from './frame.js';
import { type ScopeColumn } from './scope.js';

/** Part of a FROM: puts rows into the frame, one combination after another. */
export interface RowSource {
  /** Sources of the scope that it fills. */
  readonly sources: readonly number[];
  readonly run: (frame: Frame) => Iterable<unknown>;
}

/** A row of a leaf, and its place if it is kept in a table. */
export interface LeafRow {
  readonly row: Row;
  readonly place?: PlacedRow;
}

/** How a leaf gets its rows. */
export interface LeafReader {
  /** All rows. */
  readonly all: (frame: Frame) => Iterable<LeafRow>;
  /** The row of a key; left out = it has none. */
  readonly byKey?: {
    readonly columns: readonly number[];
    readonly find: (frame: Frame, key: string) => LeafRow | undefined;
  };
  /** Whether rows depend on sources beside it (APPLY), so that nothing may be remembered. */
  readonly lateral?: boolean;
  /** The column in whose ascending order {@link all} gives its rows, one at a time: who has enough may stop. */
  readonly sortedBy?: number;
}

/** `column = value`, where the value is known before the leaf is read. */
export interface Equality {
  readonly column: number;
  readonly value: Compiled;
  /** Whether the value comes from another source. */
  readonly joins: boolean;
}

/** One source: a table, a derived table, CHANGETABLE … */
export class Leaf implements RowSource {
  readonly sources: readonly number[];
  /** What conditions tell of its columns. */
  readonly equalities: Equality[] = [];

  constructor(
    readonly index: number,
    readonly columns: readonly ScopeColumn[],
    private readonly reader: LeafReader,
  ) {
    this.sources = [index];
  }

  /** The column by which its rows are sorted already. */
  get sortedBy(): number | undefined {
    return this.reader.sortedBy;
  }

  *run(frame: Frame): Generator {
    for (const { row, place } of this.#rows(frame)) {
      frame.rows[this.index] = row;
      frame.places[this.index] = place;
      yield;
    }
  }

  #rows(frame: Frame): Iterable<LeafRow> {
    const { byKey } = this.reader;
    const byColumn = new Map(this.equalities.map((one) => [one.column, one]));
    const keyed = byKey?.columns.map((column) => byColumn.get(column));
    if (byKey !== undefined && keyed?.every((one) => one !== undefined) === true) {
      const values = this.#values(keyed, frame);
      const found = values === undefined ? undefined : byKey.find(frame, keyText(values, this.#types(keyed)));
      return found === undefined ? [] : [found];
    }
    const joining = this.equalities.filter(({ joins }) => joins);
    if (joining.length > 0 && this.reader.lateral !== true) {
      const values = this.#values(joining, frame);
      return values === undefined ? [] : (this.#hash(joining, frame).get(keyText(values, this.#types(joining))) ?? []);
    }
    return this.reader.all(frame);
  }

  #hash(equalities: readonly Equality[], frame: Frame): ReadonlyMap<string, readonly LeafRow[]> {
    const known = frame.memory.get(this) as Map<string, LeafRow[]> | undefined;
    if (known !== undefined) {
      return known;
    }
    const types = this.#types(equalities);
    const rows = new Map<string, LeafRow[]>();
    for (const one of this.reader.all(frame)) {
      const key = keyText(
        equalities.map(({ column }) => one.row[column] as SqlValue),
        types,
      );
      const same = rows.get(key);
      if (same === undefined) {
        rows.set(key, [one]);
      } else {
        same.push(one);
      }
    }
    frame.memory.set(this, rows);
    return rows;
  }

  /** @returns `undefined` when one of them is NULL: nothing equals it. */
  #values(equalities: readonly Equality[], frame: Frame): readonly SqlValue[] | undefined {
    const values = equalities.map(({ column, value }) =>
      convertValue(value.evaluate(frame), value.type, unbounded(this.#type(column))),
    );
    return values.includes(null) ? undefined : values;
  }

  #types(equalities: readonly Equality[]): readonly ValueType[] {
    return equalities.map(({ column }) => this.#type(column));
  }

  #type(column: number): ValueType {
    return (this.columns[column] as ScopeColumn).type;
  }
}

/** Whether values of a type can be looked up in a column as they are: a conversion must not change what is equal. */
export function canLookUp(value: ValueType, column: ValueType): boolean {
  if (isText(value) && isText(column)) {
    return value.collation === undefined || value.collation === (column.collation ?? 'ci');
  }
  const integers = isInteger(value) && isInteger(column);
  return integers || (value.name === column.name && value.scale === column.scale && value.name !== 'float');
}

/** Two sources, row by row. */
export class Join implements RowSource {
  readonly sources: readonly number[];

  constructor(
    private readonly outer: RowSource,
    private readonly inner: RowSource,
    private readonly on: Test | undefined,
    private readonly keepsOuter: boolean,
  ) {
    this.sources = [...outer.sources, ...inner.sources];
  }

  *run(frame: Frame): Generator {
    for (const _ of this.outer.run(frame)) {
      let matched = false;
      for (const _ of this.inner.run(frame)) {
        if (this.on === undefined || this.on(frame) === true) {
          matched = true;
          yield;
        }
      }
      if (!matched && this.keepsOuter) {
        for (const index of this.inner.sources) {
          frame.rows[index] = null;
          frame.places[index] = undefined;
        }
        yield;
      }
    }
  }
}

/** An integer that does not fit must find nothing, not fail: it is looked up as bigint. */
function unbounded(type: ValueType): ValueType {
  if (isInteger(type)) {
    return { name: 'bigint', nullable: true };
  }
  return isText(type) ? { ...type, name: type.name.startsWith('n') ? 'nvarchar' : 'varchar', length: 'max' } : type;
}
