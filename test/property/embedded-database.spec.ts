import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';

@Entity('entry')
class Entry {
  @PrimaryColumn('integer') id!: number;
  @Column('integer') run!: number;
  @Column('text') note!: string;
}

const TRANSACTIONS = 500;

/** What one transaction does, and when it lets the others run. */
interface Plan {
  readonly fails: boolean;
  readonly rows: number;
  readonly yields: readonly ('microtask' | 'eventLoop' | 'none')[];
  /** Rows of a nested transaction that is rolled back inside a committed one. */
  readonly undone: number;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  // One in three.
  fails: fc.nat(2).map((chance) => chance === 0),
  rows: fc.integer({ min: 1, max: 3 }),
  yields: fc.array(fc.constantFrom('microtask', 'eventLoop', 'none'), { minLength: 3, maxLength: 3 }),
  undone: fc.nat(1),
});

async function pause(kind: Plan['yields'][number] | undefined): Promise<void> {
  if (kind === 'microtask') {
    await Promise.resolve();
  } else if (kind === 'eventLoop') {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

class Planned extends Error {}

async function perform(dataSource: DataSource, run: number, { fails, rows, yields, undone }: Plan): Promise<void> {
  await dataSource.transaction(async (manager) => {
    for (let row = 0; row < rows; row++) {
      await manager.insert(Entry, { id: run * 10 + row, run, note: 'kept' });
      await pause(yields[row]);
    }
    if (undone > 0) {
      await manager
        .transaction(async (nested) => {
          await nested.insert(Entry, { id: run * 10 + 9, run, note: 'undone' });
          await pause(yields[0]);
          throw new Planned();
        })
        .catch((error: unknown) => {
          if (!(error instanceof Planned)) {
            throw error;
          }
        });
    }
    if (fails) {
      await pause('eventLoop');
      throw new Planned();
    }
  });
}

describe('EmbeddedDatabase under overlapping transactions', () => {
  it('500 overlapping transactions on the embedded database, a third of them failing, leave exactly the committed ones', async () => {
    let failed = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(plan, { minLength: TRANSACTIONS, maxLength: TRANSACTIONS }), async (plans) => {
        const clock = new VirtualClock();
        const database = EmbeddedDatabase.open({ name: 'property', clock });
        const open = (name: string): Promise<DataSource> =>
          new DataSource(database.typeOrmOptions({ name, entities: [Entry], synchronize: true })).initialize();
        const one = await open('one');
        const two = await open('two');
        await database.enableTracking(['dbo.entry']);
        const before = database.currentVersion().version;

        const outcomes = await Promise.allSettled(
          plans.map((each, run) => perform(run % 2 === 0 ? one : two, run, each)),
        );

        const expected = plans.flatMap(({ fails, rows }, run) =>
          fails ? [] : Array.from({ length: rows }, (_, row) => ({ id: run * 10 + row, run, note: 'kept' })),
        );
        failed += plans.filter(({ fails }) => fails).length;
        expect(outcomes.map(({ status }) => status)).toEqual(
          plans.map(({ fails }) => (fails ? 'rejected' : 'fulfilled')),
        );
        expect(await one.getRepository(Entry).find({ order: { id: 'ASC' } })).toEqual(expected);
        // One version for each committed transaction, none for a failed one.
        expect(database.currentVersion().version - before).toBe(BigInt(plans.filter(({ fails }) => !fails).length));
        await Promise.all([one.destroy(), two.destroy()]);
        await database.close();
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 20, endOnFailure: true },
    );
    expect(failed).toBeGreaterThan(2_000);
  });
});
