import { context as openContext, trace } from '@opentelemetry/api';
import type { EntityManager, QueryRunner } from 'typeorm';
import { hexOf } from '../pool/cells.js';
import { encodeChangeContext } from '../source/change-context.js';
import { ChangeContextError } from '../sql-server.errors.js';
import { tagStatements } from './tag-statements.js';

/**
 * Runs `work` with a manager whose writes say who wrote, so that a reader can leave out what it wrote itself (`RowChange.origin`), and in
 * which trace, where one is active (`RowChange.traceparent`).
 *
 * A trigger's writes keep the context of the statement that fired it. A later write without context takes it away.
 *
 * @param manager of a running transaction: `dataSource.transaction((manager) => withChangeContext(manager, 'importer', work))`.
 * @param origin who writes: stable, at most 124 bytes; of more than 99 the trace is left out.
 * @throws ChangeContextError when the manager is in no transaction, or for a write that does not begin its statement.
 * @example
 * ```ts
 * await dataSource.transaction((manager) =>
 *   withChangeContext(manager, 'importer', (tagged) => tagged.save(forecast)),
 * );
 * ```
 */
export async function withChangeContext<T>(
  manager: EntityManager,
  origin: string,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  const context = hexOf(encodeChangeContext(origin, activeTrace()));
  const runner = manager.queryRunner;
  if (runner === undefined || !runner.isTransactionActive) {
    throw ChangeContextError.ofTransaction();
  }
  return work(manager.dataSource.createEntityManager(tagging(runner, context)));
}

function activeTrace(): string | null {
  const span = trace.getSpanContext(openContext.active());
  return span === undefined ? null : `00-${span.traceId}-${span.spanId}-0${(span.traceFlags & 1).toString()}`;
}

/** The same runner, in the same transaction, whose statements are tagged on their way. */
function tagging(runner: QueryRunner, context: string): QueryRunner {
  const query: QueryRunner['query'] = async (sql: string, parameters?: unknown[], structured?: boolean) => {
    const tagged = tagStatements(sql, context);
    if (tagged === sql || !/^\s*DELETE\b/i.test(sql)) {
      return structured === true ? runner.query(tagged, parameters, true) : runner.query(tagged, parameters);
    }
    // TypeORM tells a DELETE by the first word of its text, and answers rows and their number for it.
    const result = await runner.query(tagged, parameters, true);
    result.raw = [result.raw, result.affected];
    return structured === true ? result : result.raw;
  };
  // A manager makes itself the one of its runner, and nested transactions get that one: it must not outlive the work.
  let manager: unknown = runner.manager;
  return new Proxy(runner, {
    get: (target, property) => {
      const others: unknown = property === 'manager' ? manager : Reflect.get(target, property);
      return property === 'query' ? query : others;
    },
    set: (target, property, value: unknown) => {
      if (property === 'manager') {
        manager = value;
        return true;
      }
      return Reflect.set(target, property, value);
    },
  });
}
