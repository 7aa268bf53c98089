/*
 * The seam of the SQL Server test double: `wire/` speaks TDS and knows no SQL, `engine/` knows SQL and no frames.
 * Values cross it exactly, so that neither side can lose a digit without a test noticing.
 */

/** A type as SQL Server names it. */
export interface SqlType {
  readonly name:
    | 'bit'
    | 'tinyint'
    | 'smallint'
    | 'int'
    | 'bigint'
    | 'real'
    | 'float'
    | 'decimal'
    | 'money'
    | 'char'
    | 'varchar'
    | 'nchar'
    | 'nvarchar'
    | 'binary'
    | 'varbinary'
    | 'uniqueidentifier'
    | 'date'
    | 'time'
    | 'smalldatetime'
    | 'datetime'
    | 'datetime2'
    | 'datetimeoffset'
    | 'rowversion';
  /** Characters or bytes; `'max'` for the long forms. */
  readonly length?: number | 'max';
  readonly precision?: number;
  readonly scale?: number;
  readonly nullable: boolean;
}

/**
 * Integers (also bigint, tinyint …) as bigint, bit as boolean, decimal, money, date and time kinds and uniqueidentifier
 * as text (instants as SQL Server's own text with the full fraction, `2026-11-27 20:31:05.1234567`, an offset as
 * ` +03:00`), real and float as number, text as string, binary and rowversion as Uint8Array.
 */
export type SqlValue = null | bigint | boolean | number | string | Uint8Array;

/** A column of a result. */
export interface SqlColumn {
  readonly name: string;
  readonly type: SqlType;
}

/** A parameter of a request, `@` included in its name. */
export interface SqlParameter {
  readonly name: string;
  readonly type: SqlType;
  readonly value: SqlValue;
  readonly output: boolean;
}

/** What SQL Server says: an error from class 11 on, information below. */
export interface SqlMessage {
  readonly number: number;
  readonly state: number;
  readonly class: number;
  readonly message: string;
  readonly line: number;
  readonly procedure?: string;
}

/** What a session answers, in wire order. A `done` closes each statement; the wire adds DONE flags and DONEPROC. */
export type SqlReply =
  | { readonly kind: 'columns'; readonly columns: readonly SqlColumn[] }
  | { readonly kind: 'row'; readonly values: readonly SqlValue[] }
  /** `undefined`: no count. */
  | { readonly kind: 'done'; readonly rows: number | undefined }
  | { readonly kind: 'info'; readonly message: SqlMessage }
  /** Class 20 and above also ends the connection. */
  | { readonly kind: 'error'; readonly message: SqlMessage }
  | { readonly kind: 'database'; readonly name: string; readonly previous: string }
  | {
      readonly kind: 'transaction';
      readonly event: 'begun' | 'committed' | 'rolledBack';
      readonly descriptor: bigint;
    }
  | { readonly kind: 'output'; readonly name: string; readonly type: SqlType; readonly value: SqlValue }
  | { readonly kind: 'status'; readonly value: number };

/** One batch or one call. `signal` aborts on attention or when the connection is gone. */
export interface SqlRequest {
  readonly sql: string;
  readonly parameters: readonly SqlParameter[];
  readonly signal: AbortSignal;
}

/** The isolation levels of SQL Server. */
export type SqlIsolation = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable' | 'snapshot';

/** Who logs in, from where, and to which database. */
export interface SqlLogin {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly application: string;
  readonly host: string;
  readonly readOnlyIntent: boolean;
}

/** A connection's server side. One request at a time; `signal` aborts on attention, the session then replies nothing more. */
export interface SqlSession {
  execute(request: SqlRequest): AsyncIterable<SqlReply>;
  begin(isolation: SqlIsolation | undefined, name?: string): AsyncIterable<SqlReply>;
  commit(name?: string): AsyncIterable<SqlReply>;
  rollback(name?: string): AsyncIterable<SqlReply>;
  save(name: string): AsyncIterable<SqlReply>;
  /** What the RESETCONNECTION bit asks for: rolls back and forgets the session's settings, but keeps the isolation level. */
  reset(): void;
  close(): void;
}

/** What answers SQL behind the wire. */
export interface SqlEngine {
  /** @throws SqlServerFault with 18456, 4060 … */
  login(login: SqlLogin): Promise<SqlSession>;
}

/** An error of the server, thrown where there is no reply to carry it. */
export class SqlServerFault extends Error {
  constructor(readonly details: SqlMessage) {
    super(details.message);
    this.name = 'SqlServerFault';
  }
}
