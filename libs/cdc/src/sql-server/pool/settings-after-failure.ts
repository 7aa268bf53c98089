import { restoreSettings } from '../statements/statement.js';

/** What is used of a request of tedious. */
interface DriverRequest {
  callback: (error: Error | null | undefined, ...more: readonly never[]) => void;
}

type Send = (request: DriverRequest) => void;

/** What is used of a tedious connection. */
export interface BatchingConnection {
  execSql(request: DriverRequest): void;
  execSqlBatch(request: DriverRequest): void;
  callProcedure(request: DriverRequest): void;
}

const RESTORE = restoreSettings().sql;

/**
 * Gives a pooled connection its settings back on which a batch failed: what it had set until then stays, and what would have set it back was
 * not reached. The next statement is preceded by a batch that does; a connection whose batches come to their ends costs nothing.
 */
export function restoreAfterFailure(connection: BatchingConnection): void {
  let left = false;
  const batch = connection.execSqlBatch.bind(connection);
  const restored =
    (send: Send): Send =>
    (request) => {
      if (!left) {
        send(request);
        return;
      }
      left = false;
      const done = (error: Error | null | undefined): void => {
        if (error === null || error === undefined) {
          send(request);
        } else {
          left = true;
          request.callback(error);
        }
      };
      // The driver's own class: which copy of tedious the pool works with is its affair.
      batch(Reflect.construct(request.constructor, [RESTORE, done]));
    };
  connection.execSql = restored(connection.execSql.bind(connection));
  connection.callProcedure = restored(connection.callProcedure.bind(connection));
  connection.execSqlBatch = restored((request) => {
    const answer = request.callback.bind(request);
    request.callback = (error, ...more) => {
      left ||= error !== null && error !== undefined;
      answer(error, ...more);
    };
    batch(request);
  });
}
