import { quoteSchema } from './identifier.js';
import { big, session, type SqlServerStatement, type StatementLimits, text } from './statement.js';

/**
 * Declares `@fork`: the recovery fork that the database is on, another one since every restore. NULL for a user without the right to see it
 * (ownership, ALTER ANY DATABASE or VIEW ANY DATABASE), and on Azure SQL Database, which has not that view.
 */
export const DECLARE_FORK = `DECLARE @fork nvarchar(36);
IF CONVERT(int, SERVERPROPERTY(N'EngineEdition')) <> 5 SELECT @fork = CONVERT(nvarchar(36), r.recovery_fork_guid) FROM sys.database_recovery_status AS r WHERE r.database_id = DB_ID();`;

/**
 * A new epoch for a database that is on another recovery fork than the epoch's row, which went back with everything else: of several replicas
 * that see it one raises. A row that knew of no fork takes it over. The epoch goes to the clock in seconds, above what was given
 * out between two restores of one backup.
 */
export function adoptFork(fork: string, schema: string, limits: StatementLimits): SqlServerStatement {
  return {
    name: 'adoptFork',
    sql: `${session('READ COMMITTED', limits)}
UPDATE ${quoteSchema(schema)}.[cdc_epoch] SET recovery_fork = CONVERT(uniqueidentifier, @fork),
  epoch = CASE WHEN recovery_fork IS NULL THEN epoch WHEN epoch >= DATEDIFF_BIG(second, '19700101', SYSUTCDATETIME()) THEN epoch + 1 ELSE DATEDIFF_BIG(second, '19700101', SYSUTCDATETIME()) END
OUTPUT inserted.epoch WHERE id = 1 AND (recovery_fork IS NULL OR recovery_fork <> CONVERT(uniqueidentifier, @fork));`,
    parameters: [text('fork', fork)],
  };
}

/**
 * The stamp of what is read after it: (version now, epoch, transactions that are open). The version is read first and into a variable: it touches no data, so it is
 * never newer than a snapshot that begins with the epoch's row.
 */
export function readStamp(schema: string): SqlServerStatement {
  return {
    name: 'readStamp',
    sql: `DECLARE @current_version bigint = CHANGE_TRACKING_CURRENT_VERSION();
SELECT @current_version AS current_version, e.epoch, @@TRANCOUNT AS depth FROM ${quoteSchema(schema)}.[cdc_epoch] AS e WHERE e.id = 1;`,
    parameters: [],
  };
}

/**
 * A new epoch, by compare-and-set: who comes second finds what the first has made of it. Answers the epoch that holds.
 *
 * @param atLeast what a copy outside of the database has decided already.
 */
export function raiseEpoch(from: bigint, atLeast: bigint, schema: string, limits: StatementLimits): SqlServerStatement {
  return {
    name: 'raiseEpoch',
    sql: `${session('READ COMMITTED', limits)}
UPDATE ${quoteSchema(schema)}.[cdc_epoch] SET epoch = CASE WHEN @at_least > epoch THEN @at_least WHEN epoch = @from THEN epoch + 1 ELSE epoch END
OUTPUT inserted.epoch WHERE id = 1;`,
    parameters: [big('from', from), big('at_least', atLeast)],
  };
}
