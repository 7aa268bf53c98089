import { type SqlValue } from '../../seam.js';
import { updateConflict } from '../errors/transaction-faults.js';
import { duplicateIndexKey, duplicateKey, nullNotAllowed } from '../errors/value-faults.js';
import { type TableTracking } from '../tracking/table-tracking.js';
import { keyText } from '../values/compare.js';
import { textOf } from '../values/convert.js';
import { type Column, type Index } from './column.js';
import { type Database } from './database.js';
import { LockConflict, type Lockable, type LockManager, type LockMode } from './locks.js';
import { type ReadAccess } from './read-access.js';
import { type Row, RowSlot } from './row-slot.js';
import { type Transaction } from './transaction.js';

/** A row with its place. */
export interface PlacedRow {
  readonly slot: RowSlot;
  readonly row: Row;
}

/** What a table is made of. */
export interface TableDefinition {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
  readonly indexes: readonly Index[];
}

/** The context under which rows are written. */
export interface WriteOptions {
  readonly context: Uint8Array | null;
}

/** Rows with their keys, constraints, locks and versions; tells change tracking what is done to them. */
export class Table implements Lockable {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly holders = new Map<Transaction, Set<LockMode>>();
  columns: readonly Column[];
  indexes: readonly Index[];
  tracking: TableTracking | undefined;
  /** The commit that last changed columns, keys or tracking. */
  schemaSequence = 0n;
  /** When that was, in milliseconds since 1970. */
  modifiedAtMs = 0;
  nextIdentity: bigint;

  readonly #database: Database;
  readonly #locks: LockManager;
  readonly #slots = new Map<string, RowSlot>();
  readonly #uniques = new Map<Index, Map<string, Set<RowSlot>>>();
  #nextHeapKey = 1;

  constructor(definition: TableDefinition, database: Database, locks: LockManager) {
    this.id = definition.id;
    this.schema = definition.schema;
    this.name = definition.name;
    this.columns = definition.columns;
    this.indexes = definition.indexes;
    this.nextIdentity = definition.columns.find(({ identity }) => identity !== undefined)?.identity?.seed ?? 1n;
    this.#database = database;
    this.#locks = locks;
  }

  get database(): Database {
    return this.#database;
  }

  get primaryKey(): Index | undefined {
    return this.indexes.find(({ kind }) => kind === 'primary key');
  }

  get qualifiedName(): string {
    return `${this.schema}.${this.name}`;
  }

  /** @returns -1 when there is no such column. Names are compared without case. */
  columnIndex(name: string): number {
    const wanted = name.toLowerCase();
    return this.columns.findIndex((column) => column.name.toLowerCase() === wanted);
  }

  /** Key of the row with these primary key values. */
  keyOf(values: readonly SqlValue[]): string {
    const columns = this.primaryKey?.columns ?? [];
    return keyText(
      values,
      columns.map((index) => (this.columns[index] as Column).type),
    );
  }

  /** Every row that the access sees, in no order that a reader may count on. @throws LockConflict */
  *scan(access: ReadAccess): Generator<PlacedRow> {
    this.#enter(access);
    for (const slot of this.#slots.values()) {
      const row = this.#read(slot, access);
      if (row !== undefined) {
        yield { slot, row };
      }
    }
  }

  /** The row of a key, without looking at others. @throws LockConflict */
  seek(key: string, access: ReadAccess): PlacedRow | undefined {
    this.#enter(access);
    const slot = this.#slots.get(key);
    const row = slot === undefined ? undefined : this.#read(slot, access);
    return slot === undefined || row === undefined ? undefined : { slot, row };
  }

  /** @throws 2627, 2601, 515, LockConflict */
  insert(transaction: Transaction, row: Row, options: WriteOptions): PlacedRow {
    this.#locks.acquire(transaction, this, 'IX');
    this.#assertNotNull(row, 'INSERT');
    const placed = this.#place(transaction, row);
    this.#assertUnique(transaction, placed);
    this.#track(transaction, 'I', placed.slot.key, row, null, options);
    return placed;
  }

  /** @throws 3960, LockConflict */
  delete(transaction: Transaction, { slot, row }: PlacedRow, options: WriteOptions): void {
    this.#lockToWrite(transaction, slot);
    slot.write(transaction, undefined);
    this.#track(transaction, 'D', slot.key, row, null, options);
  }

  /**
   * One UPDATE: all its rows at once, so that keys may trade places.
   *
   * @param set ids of the columns in the SET list.
   * @throws 2627, 2601, 515, 3960, LockConflict
   */
  update(
    transaction: Transaction,
    changes: readonly { readonly from: PlacedRow; readonly to: Row }[],
    set: readonly number[],
    options: WriteOptions,
  ): readonly PlacedRow[] {
    const keyColumns = (this.primaryKey?.columns ?? []).map((index) => (this.columns[index] as Column).id);
    if (set.some((id) => keyColumns.includes(id))) {
      changes.forEach(({ from }) => this.delete(transaction, from, options));
      return changes.map(({ to }) => this.insert(transaction, to, options));
    }
    const told = this.#toldColumns(set, keyColumns);
    for (const { from, to } of changes) {
      this.#lockToWrite(transaction, from.slot);
      this.#assertNotNull(to, 'UPDATE');
      from.slot.write(transaction, to);
      this.#enterUniques(from.slot, to);
      this.#track(transaction, 'U', from.slot.key, to, told, options);
    }
    const placed = changes.map(({ from, to }) => ({ slot: from.slot, row: to }));
    placed.forEach((one) => this.#assertUnique(transaction, one));
    return placed;
  }

  /** A row that nobody sees any more gives its place back. */
  vacate(slot: RowSlot): void {
    if (slot.empty && this.#slots.get(slot.key) === slot) {
      this.#slots.delete(slot.key);
    }
  }

  /** All rows away, without a word to change tracking. */
  clear(): void {
    this.#slots.clear();
    this.#uniques.clear();
    this.nextIdentity = this.columns.find(({ identity }) => identity !== undefined)?.identity?.seed ?? 1n;
  }

  /** Other columns; every row is rewritten, as metadata has no versions. */
  reshape(columns: readonly Column[], change: (row: Row) => Row): void {
    this.columns = columns;
    for (const slot of this.#slots.values()) {
      slot.reshape(change);
    }
  }

  /** A row as it is, without checks, locks and tracking: of a backup. */
  load(transaction: Transaction, row: Row): void {
    this.#place(transaction, row);
  }

  #enter(access: ReadAccess): void {
    if (access.kind === 'locking') {
      if (access.range) {
        this.#locks.acquire(access.transaction, this, access.mode);
      } else if (access.hold || access.mode === 'X') {
        this.#locks.acquire(access.transaction, this, access.mode === 'S' ? 'IS' : 'IX');
      } else {
        this.#locks.probe(access.transaction, this, 'IS');
      }
    }
  }

  #read(slot: RowSlot, access: ReadAccess): Row | undefined {
    const { transaction } = access;
    if (slot.writer === transaction) {
      return slot.latestFor(transaction);
    }
    if (access.kind === 'dirty') {
      return slot.dirty();
    }
    if (access.kind === 'asOf') {
      return slot.asOf(access.sequence);
    }
    const nothing = slot.writer === undefined && slot.committed() === undefined;
    if (nothing || (access.skipLocked && this.#isLocked(slot, transaction, access.mode))) {
      return undefined;
    }
    if (access.hold) {
      this.#locks.acquire(transaction, slot, access.mode);
    } else {
      this.#locks.probe(transaction, slot, access.mode);
    }
    return slot.latestFor(transaction);
  }

  #isLocked(slot: RowSlot, transaction: Transaction, mode: LockMode): boolean {
    try {
      this.#locks.probe(transaction, slot, mode);
      return false;
    } catch (error) {
      if (error instanceof LockConflict) {
        return true;
      }
      throw error;
    }
  }

  #place(transaction: Transaction, row: Row): PlacedRow {
    const { primaryKey } = this;
    const key =
      primaryKey === undefined
        ? `#${this.#nextHeapKey++}`
        : this.keyOf(primaryKey.columns.map((index) => row[index] as SqlValue));
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = new RowSlot(key, this);
      this.#slots.set(key, slot);
      const added = slot;
      transaction.willUndo(() => this.#forget(added, transaction));
    }
    this.#locks.acquire(transaction, slot, 'X');
    if (slot.latestFor(transaction) !== undefined) {
      throw duplicateKey('PRIMARY KEY', primaryKey?.name ?? '', this.qualifiedName, this.#shown(primaryKey, row));
    }
    slot.write(transaction, row);
    this.#enterUniques(slot, row);
    return { slot, row };
  }

  /** The place of an insert that is undone; its lock stays with the transaction until it ends. */
  #forget(slot: RowSlot, transaction: Transaction): void {
    if (slot.writer === undefined && slot.lastSequence === 0n) {
      transaction.onEnd(() => this.vacate(slot));
    }
  }

  #lockToWrite(transaction: Transaction, slot: RowSlot): void {
    this.#locks.acquire(transaction, this, 'IX');
    this.#locks.acquire(transaction, slot, 'X');
    const { snapshot } = transaction;
    if (snapshot !== undefined && slot.writer !== transaction && slot.lastSequence > snapshot.sequence) {
      throw updateConflict(this.qualifiedName, this.#database.name);
    }
  }

  #assertNotNull(row: Row, verb: 'INSERT' | 'UPDATE'): void {
    const at = this.columns.findIndex(({ type }, index) => !type.nullable && row[index] === null);
    if (at >= 0) {
      throw nullNotAllowed((this.columns[at] as Column).name, `${this.#database.name}.${this.qualifiedName}`, verb);
    }
  }

  #assertUnique(transaction: Transaction, { slot, row }: PlacedRow): void {
    for (const index of this.indexes) {
      if (index.kind !== 'unique constraint' && index.kind !== 'unique index') {
        continue;
      }
      const key = this.#indexKey(index, row);
      for (const other of this.#uniques.get(index)?.get(key) ?? []) {
        if (other === slot) {
          continue;
        }
        this.#locks.probe(transaction, other, 'S');
        const there = other.latestFor(transaction);
        if (there !== undefined && this.#indexKey(index, there) === key) {
          throw index.kind === 'unique index'
            ? duplicateIndexKey(this.qualifiedName, index.name, this.#shown(index, row))
            : duplicateKey('UNIQUE KEY', index.name, this.qualifiedName, this.#shown(index, row));
        }
      }
    }
  }

  /** Entries are hints: whoever finds one looks at the row again. */
  #enterUniques(slot: RowSlot, row: Row): void {
    for (const index of this.indexes) {
      if (index.kind === 'unique constraint' || index.kind === 'unique index') {
        const entries = this.#uniques.get(index) ?? this.#indexRows(index);
        const key = this.#indexKey(index, row);
        const slots = entries.get(key);
        if (slots === undefined) {
          entries.set(key, new Set([slot]));
        } else {
          slots.forEach((one) => (one.empty ? slots.delete(one) : undefined));
          slots.add(slot);
        }
      }
    }
  }

  #indexRows(index: Index): Map<string, Set<RowSlot>> {
    const entries = new Map<string, Set<RowSlot>>();
    this.#uniques.set(index, entries);
    for (const slot of this.#slots.values()) {
      for (const row of [slot.committed(), slot.dirty()]) {
        if (row !== undefined) {
          const key = this.#indexKey(index, row);
          entries.set(key, (entries.get(key) ?? new Set()).add(slot));
        }
      }
    }
    return entries;
  }

  #indexKey({ columns }: Index, row: Row): string {
    return keyText(
      columns.map((at) => row[at] as SqlValue),
      columns.map((at) => (this.columns[at] as Column).type),
    );
  }

  #shown(index: Index | undefined, row: Row): string {
    return (index?.columns ?? [])
      .map((at) => {
        const value = row[at] as SqlValue;
        return value === null ? '<NULL>' : textOf(value, (this.columns[at] as Column).type);
      })
      .join(', ');
  }

  #track(
    transaction: Transaction,
    operation: 'I' | 'U' | 'D',
    key: string,
    row: Row,
    columns: readonly number[] | null,
    { context }: WriteOptions,
  ): void {
    const { tracking, primaryKey } = this;
    if (tracking !== undefined && primaryKey !== undefined) {
      const keyValues = primaryKey.columns.map((at) => row[at] as SqlValue);
      transaction.track({ tracking, operation, key, keyValues, columns, context });
    }
  }

  /** `null` when columns are not tracked, or all of them are set. A rowversion is set by every update. */
  #toldColumns(set: readonly number[], keyColumns: readonly number[]): readonly number[] | null {
    if (this.tracking?.tracksColumns !== true) {
      return null;
    }
    const stamped = this.columns.filter(({ type }) => type.name === 'rowversion').map(({ id }) => id);
    const all = new Set([...set, ...stamped]);
    const others = this.columns.filter(({ id }) => !keyColumns.includes(id));
    return others.every(({ id }) => all.has(id)) ? null : [...all];
  }
}
