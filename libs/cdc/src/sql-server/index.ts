export { type Finding, type FindingCode, type FindingSeverity } from './doctor/findings.js';
export {
  examineSqlServer,
  mendSqlServer,
  type SqlServerExaminationOptions,
  type SqlServerMending,
} from './doctor/sql-server.doctor.js';
export { SqlServerCheckpointStore } from './bookkeeping/sql-server.checkpoint.store.js';
export { SqlServerLeadership, type SqlServerLeadershipOptions } from './bookkeeping/sql-server.leadership.js';
export { classifySqlServerError, type SqlServerErrorOverrides, type SqlServerFailure } from './errors/classify.js';
export { SQL_SERVER_ERRORS, type SqlServerErrorClass, type SqlServerErrorTable } from './errors/error-classes.js';
export { MssqlPool, type MssqlDriver, type MssqlPoolOptions } from './pool/mssql.pool.js';
export { type SqlServerTarget, targetOf as sqlServerTargetOf } from './pool/connection-target.js';
export { type SqlServerAnswer, SqlServerPool, type SqlServerRow } from './pool/sql-server.pool.js';
export { SqlServerStatements, type StatementsOptions } from './pool/sql-server.statements.js';
export { type ChangeTrackingSourceOptions, SqlServerChangeTrackingSource } from './source/change-tracking.source.js';
export type { SqlServerParameter, SqlServerParameterType, SqlServerStatement } from './statements/statement.js';
export {
  ChangeContextError,
  ChangeTrackingOffError,
  ColumnNotFoundError,
  ColumnTypeError,
  SecondaryReplicaError,
  SqlServerAnswerError,
  SqlServerBookkeepingError,
  SqlServerConnectionError,
  type SqlServerConnectionProblem,
  SqlServerDriverMissingError,
  SqlServerNameError,
  SqlServerStatementError,
  TableNotPermittedError,
} from './sql-server.errors.js';
export { sqlServerCdc, type SqlServerCdcParts } from './sql-server-cdc.js';
export { SQL_SERVER_CDC_DEFAULTS, type SqlServerCdcOptions } from './sql-server.options.js';
export {
  sqlServerDataSource,
  type SqlServerDataSourceOptions,
  type SqlServerTypeOrmOptions,
} from './typeorm/data-source-options.js';
export { openSqlServerDataSource } from './typeorm/open-data-source.js';
export { pendingSqlServerMigrations, runSqlServerMigrations } from './typeorm/run-migrations.js';
export { SqlServerStampedReader, type SqlServerStampedReaderOptions } from './typeorm/sql-server.stamped.reader.js';
export { withChangeContext } from './typeorm/with-change-context.js';
