import { runContract } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import {
  changeSourceContract,
  type ChangeSourceHarness,
  type ContractTransaction,
  ENTRY_TABLE,
  STOCK_TABLE,
} from './change-source.contract.js';
import { InMemoryChangeSource } from './in-memory.change-source.js';
import type { InMemoryTransaction } from './in-memory.database.js';

function harness(): ChangeSourceHarness {
  const source = new InMemoryChangeSource('db', [
    { table: STOCK_TABLE, primaryKey: ['id'], columns: ['id', 'level', 'note'] },
    { table: ENTRY_TABLE, primaryKey: ['region', 'number'], columns: ['region', 'number', 'amount'] },
  ]);
  const gather = async (work: (transaction: ContractTransaction) => void | Promise<void>) => {
    const steps: ((transaction: InMemoryTransaction) => void)[] = [];
    await work({
      upsert: (table, row) => void steps.push((transaction) => transaction.upsert(table, row)),
      delete: (table, primaryKey) => void steps.push((transaction) => transaction.delete(table, primaryKey)),
      rekey: (table, primaryKey, to) => {
        const row = source.rows(table).get(source.keyOf(table, primaryKey)) ?? {};
        steps.push((transaction) => transaction.delete(table, primaryKey));
        steps.push((transaction) => transaction.upsert(table, { ...row, ...to }));
      },
    });
    return (transaction: InMemoryTransaction) => steps.forEach((step) => step(transaction));
  };
  return {
    source,
    commit: async (work) => void source.commit(await gather(work)),
    commitAs: async (origin, work) => void source.commit(await gather(work), { origin }),
    cleanUp: async () => source.cleanUp(source.version),
    truncate: async (table) => source.truncate(table),
    disable: async (table) => source.track(table, false),
    enable: async (table) => source.track(table, true),
    close: () => source.close(),
  };
}

runContract(
  { describe, it },
  'ChangeSource: in-memory',
  changeSourceContract(harness, { origins: true, reenable: true }),
);

describe('InMemoryChangeSource', () => {
  it('goes back to a backup, counter included, and raises the epoch once for all who saw it', async () => {
    const source = new InMemoryChangeSource('db', [{ table: STOCK_TABLE, primaryKey: ['id'] }]);
    source.commit((transaction) => transaction.upsert(STOCK_TABLE, { id: 1 }));
    const backup = source.backUp();
    source.commit((transaction) => transaction.upsert(STOCK_TABLE, { id: 2 }));
    source.restore(backup, { newEpoch: false });

    expect([source.version, source.rows(STOCK_TABLE).size]).toEqual([1n, 1]);
    expect(await Promise.all([source.raiseEpoch(1n), source.raiseEpoch(1n)])).toEqual([2n, 2n]);
  });
});
