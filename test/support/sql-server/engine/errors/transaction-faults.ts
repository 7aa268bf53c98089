import { type EngineFault, fault } from './fault.js';

export const lockTimeout = (): EngineFault => fault(1222, 16, 51, 'Lock request time out period exceeded.');

export const deadlocked = (sessionId: number): EngineFault =>
  fault(
    1205,
    13,
    51,
    `Transaction (Process ID ${sessionId}) was deadlocked on lock resources with another process and has been chosen as the deadlock victim. Rerun the transaction.`,
  );

export const snapshotNotAllowed = (database: string): EngineFault =>
  fault(
    3952,
    16,
    1,
    `Snapshot isolation transaction failed accessing database '${database}' because snapshot isolation is not allowed in this database. Use ALTER DATABASE to allow snapshot isolation.`,
  );

export const snapshotTooLate = (database: string): EngineFault =>
  fault(
    3951,
    16,
    1,
    `Transaction failed in database '${database}' because the statement was run under snapshot isolation but the transaction did not start in snapshot isolation. You cannot change the isolation level of the transaction to snapshot after the transaction has started unless the transaction was originally started under snapshot isolation level.`,
  );

export const updateConflict = (table: string, database: string): EngineFault =>
  fault(
    3960,
    16,
    2,
    `Snapshot isolation transaction aborted due to update conflict. You cannot use snapshot isolation to access table '${table}' directly or indirectly in database '${database}' to update, delete, or insert the row that has been modified or deleted by another transaction. Retry the transaction or change the isolation level for the update/delete statement.`,
  );

export const metadataChanged = (database: string): EngineFault =>
  fault(
    3961,
    16,
    1,
    `Snapshot isolation transaction failed in database '${database}' because the object accessed by the statement has been modified by a DDL statement in another concurrent transaction since the start of this transaction.  It is disallowed because the metadata is not versioned. A concurrent update to metadata can lead to inconsistency if mixed with snapshot isolation.`,
  );

export const commitWithoutBegin = (): EngineFault =>
  fault(3902, 16, 1, 'The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.');

export const rollbackWithoutBegin = (): EngineFault =>
  fault(3903, 16, 1, 'The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.');

export const saveWithoutBegin = (): EngineFault =>
  fault(628, 16, 0, 'Cannot issue SAVE TRANSACTION when there is no active transaction.');

export const noSuchSavepoint = (name: string): EngineFault =>
  fault(6401, 16, 1, `Cannot roll back ${name}. No transaction or savepoint of that name was found.`);

export const uncommittable = (): EngineFault =>
  fault(
    3930,
    16,
    1,
    'The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.',
  );

export const readOnlyDatabase = (database: string): EngineFault =>
  fault(3906, 16, 2, `Failed to update database "${database}" because the database is read-only.`);

export const killed = (): EngineFault =>
  fault(596, 21, 1, 'Cannot continue the execution because the session is in the kill state.');

export const transactionCountMismatch = (before: number, after: number): EngineFault =>
  fault(
    266,
    16,
    2,
    `Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. Previous count = ${before}, current count = ${after}.`,
  );
