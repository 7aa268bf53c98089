export { type EmbeddedCdcParts, embeddedCdc } from './embedded-cdc.js';
export { EmbeddedCheckpointStore } from './embedded.checkpoint.store.js';
export { EmbeddedDatabase } from './embedded.database.js';
export {
  EmbeddedDatabaseBusyError,
  EmbeddedDatabaseClosedError,
  EmbeddedFileError,
  EmbeddedFileInUseError,
  EmbeddedNestedTurnError,
  EmbeddedStatementError,
  EmbeddedTableNameError,
  EmbeddedTransactionLostError,
  EmbeddedTurnExpiredError,
} from './embedded.errors.js';
export { EmbeddedLeadership, type EmbeddedLeadershipOptions } from './embedded.leadership.js';
export { EMBEDDED_DATABASE_DEFAULTS, type EmbeddedDatabaseOptions } from './embedded.options.js';
export { EmbeddedPollSignal } from './embedded.poll-signal.js';
export { EmbeddedStampedReader } from './embedded.stamped.reader.js';
export { EmbeddedChangeSource } from './source/embedded.change.source.js';
export type { CleanUpReport } from './tracking/log-sweeper.js';
export type { EmbeddedDataSourceOptions, EmbeddedTypeOrmOptions } from './typeorm/typeorm-options.js';
