import { AsyncLocalStorage } from 'node:async_hooks';
import { context, type Context, type ContextManager, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { ChangeContextError, withChangeContext } from '@smartpulse/cdc/sql-server';
import { STOCK_TABLE } from '@smartpulse/cdc/testing';
import type { EntityManager } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StartStock, StockDatabase } from './stock-database.js';

const insert = (manager: EntityManager, id: number): Promise<unknown> =>
  manager.query(`INSERT INTO ${STOCK_TABLE} (id, level) VALUES (@0, 1)`, [id]);

async function originsIn(shop: StockDatabase): Promise<ReadonlyMap<unknown, string | null>> {
  const { signal } = new AbortController();
  const page = await shop
    .replica()
    .source.readPage({ table: STOCK_TABLE, after: 0n, cursor: null, limit: 100, signal });
  return new Map(page.changes.map(({ primaryKey, origin }) => [primaryKey['id'], origin]));
}

const TRACE = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 };

/** A context manager as the one of an SDK, for one test. */
class StoredContext implements ContextManager {
  readonly #store = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#store.getStore() ?? ROOT_CONTEXT;
  }

  with: ContextManager['with'] = (inner, work, thisArg, ...args) =>
    this.#store.run(inner, () => Reflect.apply(work, thisArg, args));

  bind<T>(_context: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}

/** Who wrote, beside what was written. */
export function changeContextSuite(start: StartStock): void {
  describe('withChangeContext', () => {
    let shop: StockDatabase;

    beforeEach(async () => {
      shop = await start();
    });
    afterEach(() => shop.stop());

    it('marks what is written by its manager, also in savepoints, and nothing that is written before or after', async () => {
      await shop.app.transaction(async (manager) => {
        await insert(manager, 1);
        await withChangeContext(manager, 'importer', async (tagged) => {
          await insert(tagged, 2);
          await tagged.transaction((nested) => insert(nested, 3));
        });
        await insert(manager, 4);
        await manager.transaction((nested) => insert(nested, 5));
        await manager.transaction((nested) =>
          withChangeContext(nested, 'other', async (tagged) => {
            await insert(tagged, 6);
          }),
        );
      });
      expect(await originsIn(shop)).toEqual(
        new Map([
          [1, null],
          [2, 'importer'],
          [3, 'importer'],
          [4, null],
          [5, null],
          [6, 'other'],
        ]),
      );
    });

    it('rejects an origin that has no room, and throws nothing at its caller', async () => {
      const asked = shop.app.transaction((manager) => {
        const marked = withChangeContext(manager, 'x'.repeat(125), (tagged) => insert(tagged, 9));
        expect(marked).toBeInstanceOf(Promise);
        return marked;
      });
      await expect(asked).rejects.toThrow(ChangeContextError);
    });

    it('leaves the trace in which it is called, for the readers of the change', async () => {
      context.setGlobalContextManager(new StoredContext());
      try {
        await shop.app.transaction((manager) =>
          context.with(trace.setSpanContext(ROOT_CONTEXT, TRACE), () =>
            withChangeContext(manager, 'importer', (tagged) => insert(tagged, 7)),
          ),
        );
      } finally {
        context.disable();
      }
      await shop.app.transaction((manager) => withChangeContext(manager, 'importer', (tagged) => insert(tagged, 8)));
      const { signal } = new AbortController();
      const { changes } = await shop
        .replica()
        .source.readPage({ table: STOCK_TABLE, after: 0n, cursor: null, limit: 10, signal });

      expect(changes.map(({ origin, traceparent }) => [origin, traceparent])).toEqual([
        ['importer', `00-${TRACE.traceId}-${TRACE.spanId}-01`],
        ['importer', null],
      ]);
    });
  });
}
