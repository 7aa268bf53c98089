import { metadataChanged, snapshotNotAllowed, snapshotTooLate } from '../../errors/transaction-faults.js';
import { type Database } from '../../storage/database.js';
import { type ReadAccess } from '../../storage/read-access.js';
import { type Snapshot } from '../../storage/snapshot.js';
import { type Table } from '../../storage/table.js';
import { type Run } from './frame.js';

/** What the rows are read for. */
export type Purpose = 'read' | 'write';

/**
 * How a table is read: by the isolation level of the session, and by hints.
 *
 * @throws 3952, 3951, 3961 at the first access under snapshot isolation.
 */
export function accessTo(table: Table, hints: readonly string[], purpose: Purpose, run: Run): ReadAccess {
  const { session, transaction } = run;
  const has = (...names: readonly string[]): boolean => names.some((name) => hints.includes(name));
  const snapshot = snapshotOf(table.database, run);
  if (snapshot !== undefined && !has('UPDLOCK', 'XLOCK', 'READCOMMITTEDLOCK')) {
    if (table.schemaSequence > snapshot.sequence) {
      throw metadataChanged(table.database.name);
    }
    return { kind: 'asOf', transaction, sequence: snapshot.sequence };
  }
  if (purpose === 'read' && (has('NOLOCK', 'READUNCOMMITTED') || isDirty(run, hints))) {
    return { kind: 'dirty', transaction };
  }
  const mode = has('XLOCK', 'TABLOCKX') ? 'X' : has('UPDLOCK') || purpose === 'write' ? 'U' : 'S';
  const range = has('HOLDLOCK', 'SERIALIZABLE', 'TABLOCKX') || session.isolation === 'serializable';
  const hold = range || has('UPDLOCK', 'XLOCK', 'REPEATABLEREAD') || session.isolation === 'repeatable read';
  const versions = table.database.readCommittedSnapshot && !has('READCOMMITTEDLOCK', 'READPAST');
  if (mode === 'S' && !hold && versions) {
    return { kind: 'asOf', transaction, sequence: run.sequence };
  }
  return { kind: 'locking', transaction, mode, hold, range, skipLocked: has('READPAST') };
}

/** The snapshot of the transaction, begun here if need be; `undefined` under other isolation levels. @throws 3951, 3952 */
export function snapshotOf(database: Database, { session, transaction }: Run): Snapshot | undefined {
  if (session.isolation !== 'snapshot') {
    return undefined;
  }
  if (transaction.startedUnder !== 'snapshot') {
    throw snapshotTooLate(database.name);
  }
  if (!database.allowSnapshotIsolation) {
    throw snapshotNotAllowed(database.name);
  }
  return session.server.transactions.snapshotOf(transaction);
}

function isDirty({ session }: Run, hints: readonly string[]): boolean {
  const stricter = [
    'READCOMMITTED',
    'READCOMMITTEDLOCK',
    'REPEATABLEREAD',
    'SERIALIZABLE',
    'HOLDLOCK',
    'UPDLOCK',
    'XLOCK',
  ];
  return session.isolation === 'read uncommitted' && !hints.some((hint) => stricter.includes(hint));
}
