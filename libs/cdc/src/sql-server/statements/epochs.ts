import { quoteSchema } from './identifier.js';
import { big, session, type SqlServerStatement, type StatementLimits } from './statement.js';

/**
 * The stamp of what is read after it: (version now, epoch). The version is read first and into a variable: it touches no data, so it is
 * never newer than a snapshot that begins with the epoch's row.
 */
export function readStamp(schema: string): SqlServerStatement {
  return {
    name: 'readStamp',
    sql: `DECLARE @current_version bigint = CHANGE_TRACKING_CURRENT_VERSION();
SELECT @current_version AS current_version, e.epoch FROM ${quoteSchema(schema)}.[cdc_epoch] AS e WHERE e.id = 1;`,
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
