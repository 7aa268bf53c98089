/** How a parameter is declared to the server. Values cross as these alone; a key's exact type is restored by the statement itself. */
export type SqlServerParameterType = 'bigint' | 'int' | 'nvarchar' | 'nvarchar(max)' | 'varbinary';

/** A parameter of a statement, without the `@`. */
export interface SqlServerParameter {
  readonly name: string;
  readonly type: SqlServerParameterType;
  readonly value: string | bigint | number | Uint8Array | null;
}

/** A text for the server with its parameters. The text holds names and constants only, never a value that a caller chose. */
export interface SqlServerStatement {
  /** Low cardinality: for logs, metrics and the page that lists all statements. */
  readonly name: string;
  readonly sql: string;
  readonly parameters: readonly SqlServerParameter[];
  /**
   * Sent as a batch, which spares the server `sp_executesql`. What it sets stays on the connection, so it sets everything back at its end; after an error
   * before that, {@link restoreSettings} does. Default `false`.
   */
  readonly isBatch?: boolean | undefined;
}

/** How long a statement may wait for locks of others. */
export interface StatementLimits {
  readonly lockTimeoutMs: number;
}

/**
 * What every statement begins with. The level stands in each of them, because SQL Server keeps it on a pooled connection after the
 * transaction ended: nothing may depend on who used the connection before.
 */
export function session(isolation: 'READ COMMITTED' | 'SNAPSHOT', { lockTimeoutMs }: StatementLimits): string {
  return `SET XACT_ABORT ON;
SET LOCK_TIMEOUT ${Math.trunc(lockTimeoutMs)};
SET TRANSACTION ISOLATION LEVEL ${isolation};`;
}

/** What a connection begins with, for one on which a batch did not come to its end. */
export function restoreSettings(): SqlServerStatement {
  return {
    name: 'restoreSettings',
    sql: `SET XACT_ABORT OFF;
SET LOCK_TIMEOUT -1;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;`,
    parameters: [],
    isBatch: true,
  };
}

/** A parameter of text. */
export function text(name: string, value: string | null): SqlServerParameter {
  return { name, type: 'nvarchar', value };
}

/** A parameter of text of any length. */
export function longText(name: string, value: string | null): SqlServerParameter {
  return { name, type: 'nvarchar(max)', value };
}

/** A parameter of 64 bits. */
export function big(name: string, value: bigint | null): SqlServerParameter {
  return { name, type: 'bigint', value };
}

/** A parameter of 32 bits. */
export function int(name: string, value: number): SqlServerParameter {
  return { name, type: 'int', value };
}
