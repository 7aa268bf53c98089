import { ConfigurationError } from '@smartpulse/resilience';
import { MssqlParameter } from 'typeorm';

/** A statement with its parameters, as a query runner takes them. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** The columns of the store's table, as they are called there. */
const COLUMNS = ['id', 'token', 'done', 'until_ms'] as const;
type Column = (typeof COLUMNS)[number];

/** What databases write differently. */
interface Dialect {
  quote(name: string): string;
  /** The place of a parameter for the column's type, by its number from 0. */
  place(index: number, column: Column): string;
  /** A value as a parameter for the column's type. */
  parameter(column: Column, value: string | number): unknown;
  /** Behind an insert: what becomes of a row that is there. */
  readonly unlessThere: string;
  /** @param untilPlace where the parameter of the instant stands. */
  sweep(table: string, untilPlace: string, limit: number): string;
}

const SQLITE: Dialect = {
  quote: (name) => `"${name.replaceAll('"', '""')}"`,
  place: () => '?',
  parameter: (_column, value) => value,
  unlessThere: ' ON CONFLICT ("id") DO NOTHING',
  sweep: (table, until, limit) =>
    `DELETE FROM ${table} WHERE "id" IN (SELECT "id" FROM ${table} WHERE "until_ms" <= ${until} LIMIT ${limit})`,
};

/**
 * The insert has no MERGE and no lock hints about it: nearly every key is new, one row is one lock, and of two inserts at once the primary key refuses the second
 * (2627, or 2601 by a unique index), which is told apart from other errors. TypeORM sends texts as nvarchar unless its data source says otherwise, which would make
 * the server convert the column and read the whole index instead of one row: so each becomes what its column is.
 */
const SQL_SERVER: Dialect = {
  quote: (name) => `[${name.replaceAll(']', ']]')}]`,
  place: (index, column) => (column === 'until_ms' ? `@${index}` : `CAST(@${index} AS ${textType(column)})`),
  parameter: (column, value) =>
    column === 'until_ms'
      ? new MssqlParameter(value, 'bigint')
      : new MssqlParameter(value, 'varchar', column === 'id' ? 64 : 32),
  unlessThere: '',
  // Few enough rows that the server does not lock the whole table for them; those that a claim holds are left to the next time.
  sweep: (table, until, limit) =>
    `DELETE TOP (${limit}) FROM ${table} WITH (ROWLOCK, READPAST) WHERE [until_ms] <= ${until}`,
};

/** What the column of a text is there. */
function textType(column: Column): string {
  return column === 'id' ? 'varchar(64)' : 'varchar(32)';
}

const DIALECTS: ReadonlyMap<string, Dialect> = new Map([
  ['better-sqlite3', SQLITE],
  ['mssql', SQL_SERVER],
]);
const DUPLICATE_KEY: ReadonlySet<unknown> = new Set([2627, 2601]);

/** Every statement of `SqlDedupeStore`, for one kind of database and one table. */
export class DedupeStatements {
  readonly #dialect: Dialect;
  readonly #table: string;

  /**
   * @param type the data source's, as TypeORM calls it: `mssql` or `better-sqlite3`.
   * @param tablePath the table's name, behind that of its schema where it has one.
   * @throws ConfigurationError when the store does not know such databases.
   */
  constructor(type: string, tablePath: string) {
    const dialect = DIALECTS.get(type);
    if (dialect === undefined) {
      throw new ConfigurationError('SqlDedupeStore', [
        {
          option: 'dataSource',
          problem: `is of type "${type}", expected one of ${[...DIALECTS.keys()].join(', ')}`,
        },
      ]);
    }
    this.#dialect = dialect;
    this.#table = tablePath
      .split('.')
      .map((part) => dialect.quote(part))
      .join('.');
  }

  /** One row more, unless there is one with the key: then none, or an error that {@link isDuplicate} knows. */
  insert(id: string, token: string, untilMs: number): Statement {
    const columns = COLUMNS.map((column) => this.#dialect.quote(column)).join(', ');
    return this.#statement(
      [
        ['id', id],
        ['token', token],
        ['until_ms', untilMs],
      ],
      ([idPlace, tokenPlace, untilPlace]) =>
        `INSERT INTO ${this.#table} (${columns}) VALUES (${idPlace}, ${tokenPlace}, 0, ${untilPlace})${this.#dialect.unlessThere}`,
    );
  }

  /** The row of the key becomes this claim's if its life is over: of several at once, each looks at what the one before left. */
  takeOver(id: string, token: string, untilMs: number, nowMs: number): Statement {
    return this.#statement(
      [
        ['token', token],
        ['until_ms', untilMs],
        ['id', id],
        ['until_ms', nowMs],
      ],
      ([tokenPlace, untilPlace, idPlace, nowPlace]) =>
        `UPDATE ${this.#table} SET ${this.#is('token')} ${tokenPlace}, ${this.#is('done')} 0, ${this.#is('until_ms')} ${untilPlace} ` +
        `WHERE ${this.#is('id')} ${idPlace} AND ${this.#dialect.quote('until_ms')} <= ${nowPlace}`,
    );
  }

  find(id: string): Statement {
    const columns = (['done', 'until_ms'] as const).map((column) => this.#dialect.quote(column)).join(', ');
    return this.#statement(
      [['id', id]],
      ([idPlace]) => `SELECT ${columns} FROM ${this.#table} WHERE ${this.#is('id')} ${idPlace}`,
    );
  }

  complete(id: string, token: string, untilMs: number): Statement {
    return this.#statement(
      [
        ['until_ms', untilMs],
        ['id', id],
        ['token', token],
      ],
      ([untilPlace, ...own]) =>
        `UPDATE ${this.#table} SET ${this.#is('done')} 1, ${this.#is('until_ms')} ${untilPlace} WHERE ${this.#standing(own)}`,
    );
  }

  release(id: string, token: string): Statement {
    return this.#statement(
      [
        ['id', id],
        ['token', token],
      ],
      (own) => `DELETE FROM ${this.#table} WHERE ${this.#standing(own)}`,
    );
  }

  /** So many rows whose life is over, at most. */
  sweep(nowMs: number, limit: number): Statement {
    return this.#statement([['until_ms', nowMs]], ([until = '']) => this.#dialect.sweep(this.#table, until, limit));
  }

  #standing([idPlace, tokenPlace]: readonly string[]): string {
    return `${this.#is('id')} ${idPlace} AND ${this.#is('token')} ${tokenPlace} AND ${this.#is('done')} 0`;
  }

  #is(column: Column): string {
    return `${this.#dialect.quote(column)} =`;
  }

  #statement(
    values: readonly (readonly [Column, string | number])[],
    sql: (places: readonly string[]) => string,
  ): Statement {
    return {
      sql: sql(values.map(([column], index) => this.#dialect.place(index, column))),
      parameters: values.map(([column, value]) => this.#dialect.parameter(column, value)),
    };
  }
}

/** Whether an insert failed because the row is there. TypeORM keeps the driver's error within its own. */
export function isDuplicate(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) {
    return false;
  }
  return (
    ('number' in error && DUPLICATE_KEY.has(error.number)) || ('driverError' in error && isDuplicate(error.driverError))
  );
}
