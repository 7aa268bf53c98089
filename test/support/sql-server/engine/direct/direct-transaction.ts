import { type SqlValue } from '../../seam.js';
import { invalidColumn, invalidObject } from '../errors/query-faults.js';
import { type Database } from '../storage/database.js';
import { newRow, type RowValues, stampedRow } from '../storage/new-row.js';
import { type PlacedRow, type Table } from '../storage/table.js';
import { type Transaction } from '../storage/transaction.js';
import { type PlainRow, plainToStored, toPlainRow } from './plain-value.js';

/** What a test writes in one transaction, without SQL. Each call is a statement of its own. */
export class DirectTransaction {
  /** Of the statements that follow: WITH CHANGE_TRACKING_CONTEXT. */
  context: Uint8Array | null = null;

  constructor(
    private readonly database: Database,
    private readonly transaction: Transaction,
  ) {}

  insert(name: string, values: PlainRow): void {
    const table = this.#table(name);
    const given: RowValues = new Map(
      Object.entries(values).map(([column, value]) => {
        const at = indexOf(table, column);
        return [at, plainToStored(value, columnAt(table, at), table)];
      }),
    );
    table.insert(this.transaction, newRow(table, given, { keepIdentity: true }), { context: this.context });
  }

  /** @returns whether the row was there. */
  update(name: string, key: PlainRow, set: PlainRow): boolean {
    const table = this.#table(name);
    const from = this.#find(table, key);
    if (from !== undefined) {
      this.#update(table, [{ from, set }]);
    }
    return from !== undefined;
  }

  /** One UPDATE of all rows for which `change` tells new values. */
  updateEach(name: string, change: (row: Readonly<Record<string, SqlValue>>) => PlainRow | undefined): void {
    const table = this.#table(name);
    const changes = [...table.scan(this.#access())].flatMap((from) => {
      const set = change(toPlainRow(from.row, table));
      return set === undefined ? [] : [{ from, set }];
    });
    this.#update(table, changes);
  }

  /** Inserts, or updates the columns that are no key. */
  upsert(name: string, values: PlainRow): void {
    const table = this.#table(name);
    const keys = (table.primaryKey?.columns ?? []).map((at) => columnAt(table, at).name.toLowerCase());
    const isKey = ([column]: readonly [string, unknown]): boolean => keys.includes(column.toLowerCase());
    const entries = Object.entries(values);
    const others = Object.fromEntries(entries.filter((entry) => !isKey(entry)));
    if (!this.update(name, Object.fromEntries(entries.filter(isKey)), others)) {
      this.insert(name, values);
    }
  }

  /** @returns whether the row was there. */
  delete(name: string, key: PlainRow): boolean {
    const table = this.#table(name);
    const placed = this.#find(table, key);
    if (placed !== undefined) {
      table.delete(this.transaction, placed, { context: this.context });
    }
    return placed !== undefined;
  }

  save(name: string): void {
    this.transaction.save(name);
  }

  rollbackTo(name: string): void {
    this.transaction.rollbackTo(name);
  }

  #update(table: Table, changes: readonly { readonly from: PlacedRow; readonly set: PlainRow }[]): void {
    const ids = new Set<number>();
    const images = changes.map(({ from, set }) => {
      const row: SqlValue[] = [...from.row];
      for (const [column, value] of Object.entries(set)) {
        const at = indexOf(table, column);
        ids.add(columnAt(table, at).id);
        row[at] = plainToStored(value, columnAt(table, at), table);
      }
      return { from, to: stampedRow(table, row) };
    });
    table.update(this.transaction, images, [...ids], { context: this.context });
  }

  #find(table: Table, key: PlainRow): PlacedRow | undefined {
    const columns = table.primaryKey?.columns ?? [];
    const values = columns.map((at) => {
      const column = columnAt(table, at);
      return plainToStored(valueOf(key, column.name), column, table);
    });
    return table.seek(table.keyOf(values), this.#access());
  }

  #access() {
    return {
      kind: 'locking',
      transaction: this.transaction,
      mode: 'U',
      hold: false,
      range: false,
      skipLocked: false,
    } as const;
  }

  #table(name: string): Table {
    const table = this.database.findByName(name);
    if (table === undefined) {
      throw invalidObject(name);
    }
    return table;
  }
}

function indexOf(table: Table, column: string): number {
  const at = table.columnIndex(column);
  if (at < 0) {
    throw invalidColumn(column);
  }
  return at;
}

function columnAt(table: Table, at: number): Table['columns'][number] {
  return table.columns[at] as Table['columns'][number];
}

function valueOf(row: PlainRow, column: string): PlainRow[string] {
  return Object.entries(row).find(([name]) => name.toLowerCase() === column.toLowerCase())?.[1];
}
