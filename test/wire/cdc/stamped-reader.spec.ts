import type { EntityManager } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FaultPlan, type RequestFault, type RequestPoint } from '../../support/sql-server/wire/faults/fault-plan.js';
import { StockServer } from './stock-server.js';

/** Refuses the next COMMIT, which the engine never hears of: the transaction stays open. */
class CommitsRefused extends FaultPlan {
  left = 0;

  override atRequest({ kind }: RequestPoint): RequestFault | undefined {
    if (kind !== 'commit' || this.left === 0) {
      return undefined;
    }
    this.left -= 1;
    return { kind: 'error', message: { number: 1222, class: 16, state: 1, line: 1, message: 'busy' } };
  }
}

let faults: CommitsRefused;
let shop: StockServer;

beforeEach(async () => {
  faults = new CommitsRefused();
  shop = await StockServer.start({ faults });
});
afterEach(() => shop.stop());

describe('a reader on SQL Server', () => {
  it('reads no old snapshot on a connection whose COMMIT had failed: the driver lends it again with its transaction open', async () => {
    const { stampedReader: reader } = shop.replica({}, { poolSize: 1 });
    const levels = (manager: EntityManager) => manager.query<{ level: number }[]>('SELECT level FROM dbo.stock');
    const write = (level: number) =>
      shop.database.write((tx) => tx.upsert('dbo.stock', { id: 1n, level: BigInt(level) }));
    write(1);
    const before = await reader?.read(levels);
    expect(before?.value).toEqual([{ level: 1 }]);
    faults.left = 1;
    await expect(reader?.read(levels)).rejects.toThrow('busy');

    write(2);

    for (const _again of [1, 2]) {
      const read = await reader?.read(levels);
      expect(read?.value).toEqual([{ level: 2 }]);
      expect(read?.stamp.version).toBe((before?.stamp.version ?? 0n) + 1n);
    }
  });
});
