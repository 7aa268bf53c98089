import { PrimaryKeyMissingError, TableNotFoundError, TableNotTrackedError } from '../../cdc.errors.js';
import type { FailureKind } from '../../source/change.source.js';
import {
  ChangeTrackingOffError,
  ColumnNotFoundError,
  ColumnTypeError,
  SecondaryReplicaError,
  SqlServerAnswerError,
  SqlServerBookkeepingError,
  SqlServerConnectionError,
  SqlServerDriverMissingError,
  SqlServerNameError,
  SqlServerStatementError,
  TableNotPermittedError,
} from '../sql-server.errors.js';
import type { SqlServerErrorClass } from './error-classes.js';

const KINDS: Readonly<Record<SqlServerErrorClass, FailureKind>> = Object.freeze({
  connection: 'outage',
  overload: 'overload',
  contention: 'contention',
  timeout: 'timeout',
  snapshotUnavailable: 'configuration',
  configuration: 'configuration',
  defect: 'configuration',
  cancelled: 'outage',
  unrecognised: 'unrecognised',
  unknown: 'outage',
});

/** Each of them names what somebody must change. */
const FOR_SOMEBODY: readonly { is(error: unknown): boolean }[] = [
  TableNotFoundError,
  TableNotTrackedError,
  TableNotPermittedError,
  PrimaryKeyMissingError,
  ColumnNotFoundError,
  ColumnTypeError,
  ChangeTrackingOffError,
  SecondaryReplicaError,
  SqlServerBookkeepingError,
  SqlServerDriverMissingError,
  SqlServerNameError,
];

/** What an error of this package's parts on SQL Server calls for; an error of anybody else is an outage. */
export function failureKindOf(error: unknown): FailureKind {
  if (SqlServerStatementError.is(error) || SqlServerConnectionError.is(error)) {
    return KINDS[error.failure.class];
  }
  if (SqlServerAnswerError.is(error)) {
    // Between two of a statement's looks somebody may have altered the table; more often than that it is no accident.
    return 'unrecognised';
  }
  return FOR_SOMEBODY.some((type) => type.is(error)) ? 'configuration' : 'outage';
}
