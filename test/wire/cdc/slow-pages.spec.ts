import { Logger } from '@nestjs/common';
import type { ChangeSource } from '@smartpulse/cdc';
import { STOCK_TABLE } from '@smartpulse/cdc/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultPlan, type RequestFault, type RequestPoint } from '../../support/sql-server/wire/faults/fault-plan.js';
import { StockServer } from './stock-server.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

/** What goes wrong with a page, by how it is read: `plain`, or by seeking. Notes how each was read. */
class Pages extends FaultPlan {
  readonly read: string[] = [];

  constructor(private readonly faults: { readonly plain?: RequestFault; readonly seek?: RequestFault }) {
    super();
  }

  override atRequest({ sql }: RequestPoint): RequestFault | undefined {
    if (!sql.includes('CHANGETABLE(CHANGES')) {
      return undefined;
    }
    const how = sql.includes('FORCESEEK') ? 'seek' : 'plain';
    this.read.push(how);
    return this.faults[how];
  }
}

async function withPages(pages: Pages, work: (read: () => Promise<unknown>, shop: StockServer) => Promise<void>) {
  const shop = await StockServer.start({ faults: pages });
  try {
    shop.database.write((tx) => tx.upsert(STOCK_TABLE, { id: 1n, level: 1n, note: null }));
    const { source } = shop.replica({ requestTimeoutMs: 200 });
    await source.state([STOCK_TABLE]);
    await work(() => page(source), shop);
  } finally {
    await shop.stop();
  }
}

/** How many changes a page has, or what its failure calls for. */
async function page(source: ChangeSource): Promise<unknown> {
  const { signal } = new AbortController();
  try {
    return (await source.readPage({ table: STOCK_TABLE, after: 0n, cursor: null, limit: 10, signal })).changes.length;
  } catch (error) {
    return source.failureOf(error);
  }
}

describe('a page of SQL Server that takes too long', () => {
  it('is read by seeking the next time, on a connection that is as good as before', async () => {
    const pages = new Pages({ plain: { kind: 'swallow' } });
    await withPages(pages, async (read, shop) => {
      const before = shop.server.acceptedConnections;
      expect([await read(), await read(), await read()]).toEqual(['timeout', 1, 1]);
      expect(pages.read).toEqual(['plain', 'seek', 'seek']);
      expect(shop.server.acceptedConnections - before).toBeLessThanOrEqual(1);
    });
  });

  it('gets smaller only on a server that does not know how to be told', async () => {
    const message = { number: 102, class: 15, state: 1, line: 7, message: "Incorrect syntax near ','." };
    const faults: { plain?: RequestFault; seek?: RequestFault } = {
      plain: { kind: 'swallow' },
      seek: { kind: 'error', message },
    };
    const pages = new Pages(faults);
    await withPages(pages, async (read) => {
      expect(await read()).toBe('timeout');
      delete faults.plain;
      expect([await read(), await read()]).toEqual([1, 1]);
      expect(pages.read).toEqual(['plain', 'seek', 'plain', 'plain']);
    });
  });
});
