import { lowerIsolation } from '../statements/on-data-source.js';

/** What is used of a request of tedious. */
export interface DriverRequest {
  readonly callback: (error: Error | null | undefined, ...more: readonly unknown[]) => void;
}

type Send = (request: DriverRequest) => void;
type Begin = (callback: (error?: Error | null) => void, name?: string, isolationLevel?: number) => void;

/** What is used of a tedious connection. */
export interface TransactingConnection {
  /** By what the server says: also of a transaction that a text began, or that the server ended. */
  readonly inTransaction: boolean;
  beginTransaction: Begin;
  execSql: Send;
  execSqlBatch: Send;
  callProcedure: Send;
}

/** As tedious numbers isolation levels. */
const [NO_CHANGE, READ_COMMITTED] = [0, 2];
const LOWER = lowerIsolation().sql;

/**
 * Gives a pooled connection back its default isolation. SQL Server leaves a session at the level of its last transaction, a reset of the
 * connection does not change that, and the drivers do not either: a statement of its own on a connection that a serializable transaction
 * had before would take range locks, one after a snapshot would read under snapshot, unawares. So the first statement outside of a
 * transaction after such a one is preceded by a batch that lowers the level, where procedures (`sp_executesql` among them) would only
 * change their own. A transaction that follows costs nothing: its begin says its level.
 */
export function keepDefaultIsolation(connection: TransactingConnection): void {
  let raised = false;
  const begin = connection.beginTransaction.bind(connection);
  connection.beginTransaction = (callback, name, level = READ_COMMITTED) => {
    // Whatever becomes of it: the server may have begun it and its answer be lost.
    raised = level === NO_CHANGE ? raised : level !== READ_COMMITTED;
    begin(callback, name, level);
  };
  const batch = connection.execSqlBatch.bind(connection);
  const lowered =
    (send: Send): Send =>
    (request) => {
      if (!raised || connection.inTransaction) {
        send(request);
        return;
      }
      raised = false;
      const done = (error: Error | null | undefined): void => {
        if (error === null || error === undefined) {
          send(request);
        } else {
          raised = true;
          request.callback(error);
        }
      };
      // The driver's own class: which copy of tedious the pool works with is its affair.
      batch(Reflect.construct(request.constructor, [LOWER, done]));
    };
  connection.execSql = lowered(connection.execSql.bind(connection));
  connection.callProcedure = lowered(connection.callProcedure.bind(connection));
  connection.execSqlBatch = lowered(batch);
}
