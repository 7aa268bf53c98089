import { type SqlIsolation, type SqlReply } from '../../../seam.js';
import {
  commitWithoutBegin,
  rollbackWithoutBegin,
  saveWithoutBegin,
  uncommittable,
} from '../../errors/transaction-faults.js';
import { type Transaction } from '../../storage/transaction.js';
import { type SessionState } from '../session-state.js';

/** The open transaction of a session: BEGIN, COMMIT, ROLLBACK and SAVE, in text and by request. */
export class SessionTransaction {
  /** The name of the outermost BEGIN: a ROLLBACK may name it. */
  #name: string | undefined;

  constructor(private readonly session: SessionState) {}

  begin(name: string | undefined, isolation?: SqlIsolation): readonly SqlReply[] {
    const { session } = this;
    if (isolation !== undefined) {
      session.isolation = isolation;
    }
    session.depth++;
    if (session.transaction !== undefined) {
      return [];
    }
    session.transaction = this.start();
    this.#name = name?.toLowerCase();
    return [{ kind: 'transaction', event: 'begun', descriptor: session.transaction.descriptor }];
  }

  /** A transaction of the session's isolation; of one statement, unless it is kept. */
  start(): Transaction {
    const { id, isolation, deadlockPriority, server } = this.session;
    return server.transactions.begin({ sessionId: id, isolation, deadlockPriority });
  }

  /** @throws 3902, 3930 */
  commit(): readonly SqlReply[] {
    const { session } = this;
    const { transaction } = session;
    if (transaction === undefined) {
      throw commitWithoutBegin();
    }
    if (transaction.doomed) {
      throw uncommittable();
    }
    session.depth--;
    if (session.depth > 0) {
      return [];
    }
    session.transaction = undefined;
    session.server.transactions.commit(transaction);
    return [{ kind: 'transaction', event: 'committed', descriptor: transaction.descriptor }];
  }

  /** To a savepoint, or all of it, whatever the depth. @throws 3903, 6401, 3930 */
  rollback(name?: string): readonly SqlReply[] {
    const { transaction } = this.session;
    if (transaction === undefined) {
      throw rollbackWithoutBegin();
    }
    if (name !== undefined && name.toLowerCase() !== this.#name) {
      if (transaction.doomed) {
        throw uncommittable();
      }
      transaction.rollbackTo(name);
      return [];
    }
    return this.abandon();
  }

  /** Rolls back what there is. */
  abandon(): readonly SqlReply[] {
    const { session } = this;
    const { transaction } = session;
    if (transaction === undefined) {
      return [];
    }
    session.transaction = undefined;
    session.depth = 0;
    session.server.transactions.rollback(transaction);
    return [{ kind: 'transaction', event: 'rolledBack', descriptor: transaction.descriptor }];
  }

  /** @throws 628, 3930 */
  save(name: string): void {
    const { transaction } = this.session;
    if (transaction === undefined) {
      throw saveWithoutBegin();
    }
    if (transaction.doomed) {
      throw uncommittable();
    }
    transaction.save(name);
  }
}
