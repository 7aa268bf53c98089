import { checkOptions, SystemClock, SystemRandom } from '@smartpulse/resilience';
import type { CheckpointStore } from '../checkpoint/checkpoint.store.js';
import type { Leadership } from '../leadership/leadership.js';
import type { DataSource, EntityManager } from 'typeorm';
import type { ChangeSource } from '../source/change.source.js';
import type { StampedReader } from '../stamp/stamped.reader.js';
import { SqlServerCheckpointStore } from './bookkeeping/sql-server.checkpoint.store.js';
import { SqlServerLeadership } from './bookkeeping/sql-server.leadership.js';
import { targetOf } from './pool/connection-target.js';
import { MssqlPool } from './pool/mssql.pool.js';
import type { SqlServerPool } from './pool/sql-server.pool.js';
import { SqlServerStatements } from './pool/sql-server.statements.js';
import { SqlServerChangeTrackingSource } from './source/change-tracking.source.js';
import { SqlServerStampedReader, type SqlServerStampedReaderOptions } from './typeorm/sql-server.stamped.reader.js';
import { type CheckedSqlServerCdcOptions, type SqlServerCdcOptions, sqlServerCdcSchema } from './sql-server.options.js';

/** The parts of change capture on a SQL Server database. */
export interface SqlServerCdcParts {
  /** Its `close()` closes the connections of all parts. */
  readonly source: ChangeSource;
  readonly checkpoints: CheckpointStore;
  readonly leadership: Leadership;
  /** Only with a data source to read as. */
  readonly stampedReader?: StampedReader<EntityManager>;
}

/**
 * All parts that `CdcModule.forRoot` needs, on one database with Change Tracking. Nothing is connected to before the first statement.
 *
 * @param dataSource the app's, of the type `mssql`, for readers of a synchronised cache: they use connections of their own, made as its.
 * @throws ConfigurationError that lists everything that is wrong with the options; it never quotes the URL.
 * @example
 * ```ts
 * CdcModule.forRoot(sqlServerCdc({ name: 'forecasts', url: 'mssql://cdc:secret@sql.internal:1433/forecasts' }));
 * ```
 */
export function sqlServerCdc(
  options: SqlServerCdcOptions,
  dataSource?: DataSource,
  reader?: SqlServerStampedReaderOptions,
): SqlServerCdcParts {
  const checked = checkOptions('sqlServerCdc', sqlServerCdcSchema, options);
  const reading = poolFor(checked, checked.poolSize);
  const keeping = checked.pool ?? poolFor(checked, CONNECTIONS_OF_BOOKKEEPING);
  const { name: source, schema, lockTimeoutMs, createBookkeeping, errorClasses } = checked;
  const shared = { source, schema, lockTimeoutMs, createBookkeeping, errorClasses };
  const statements = new SqlServerStatements({ ...shared, pool: reading });
  const bookkeeping = new SqlServerStatements({ ...shared, pool: keeping });
  const leadership = new SqlServerLeadership({
    statements: bookkeeping,
    clock: checked.clock ?? new SystemClock(),
    random: checked.random ?? new SystemRandom(),
    ttlMs: checked.leaseTtlMs,
    owner: checked.owner,
  });
  const stampedReader =
    dataSource === undefined ? undefined : new SqlServerStampedReader(bookkeeping, dataSource, reader);
  const { isolation, forceSeek, columns } = checked;
  const close = async (): Promise<void> => {
    try {
      await leadership.leave();
      await stampedReader?.close();
    } finally {
      if (checked.pool === undefined) {
        await Promise.all([reading.close(), keeping.close()]);
      }
    }
  };
  return {
    source: new SqlServerChangeTrackingSource({ statements, isolation, forceSeek, columns, close }),
    checkpoints: new SqlServerCheckpointStore(bookkeeping),
    leadership,
    ...(stampedReader === undefined ? {} : { stampedReader }),
  };
}

/** One may wait for a lock while the other renews leases. */
const CONNECTIONS_OF_BOOKKEEPING = 2;

function poolFor(options: CheckedSqlServerCdcOptions, size: number): SqlServerPool {
  const { pool, url, authentication, connectTimeoutMs, requestTimeoutMs, applicationName } = options;
  return (
    pool ??
    new MssqlPool({
      target: targetOf(url ?? '', 'sqlServerCdc'),
      authentication,
      size,
      connectTimeoutMs,
      requestTimeoutMs,
      applicationName,
    })
  );
}
