import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import { type ChangeVersion, compareChangeVersions } from '../change/change-version.js';
import type { StampedReader } from '../stamp/stamped.reader.js';

/** A reader, and a value in its database that a writer changes. */
export interface StampedReaderHarness<TManager> {
  readonly reader: StampedReader<TManager>;
  /** Commits `value` in a transaction on a tracked table and answers its stamp. */
  readonly write: (value: number) => Promise<ChangeVersion>;
  /** The value, read with the manager of {@link StampedReader.read}; 0 before the first write. */
  readonly value: (manager: TManager) => Promise<number>;
  readonly close: () => Promise<void>;
}

/** What every {@link StampedReader} promises, as data. */
export function stampedReaderContract<TManager>(
  create: () => Promise<StampedReaderHarness<TManager>> | StampedReaderHarness<TManager>,
  isolation: StampedReader['isolation'],
): readonly ContractCase[] {
  const one = (
    title: string,
    check: (harness: StampedReaderHarness<TManager>) => Promise<void>,
    skip?: string | false,
  ): ContractCase => ({
    title,
    run: async () => {
      const harness = await create();
      try {
        await check(harness);
      } finally {
        await harness.close();
      }
    },
    ...(typeof skip === 'string' ? { skip } : {}),
  });

  return [
    one('says how it isolates', ({ reader }) => Promise.resolve(assert.equal(reader.isolation, isolation))),
    one('stamps a value with every commit acknowledged before', async ({ reader, write, value }) => {
      for (let round = 1; round <= 5; round++) {
        const written = await write(round);
        const { stamp, value: read } = await reader.read(value);
        assert.equal(read, round);
        assert.ok(compareChangeVersions(stamp, written) >= 0);
        assert.ok(compareChangeVersions(await reader.current(), written) >= 0);
      }
    }),
    one(
      'never gives a value a stamp above what it reflects, whoever writes meanwhile',
      async ({ reader, write, value }) => {
        const stamps: ChangeVersion[] = [await reader.current()];
        const reads: Promise<{ stamp: ChangeVersion; value: number }>[] = [];
        const writes: Promise<unknown>[] = [];
        for (let round = 1; round <= 40; round++) {
          writes.push(write(round).then((stamp) => (stamps[round] = stamp)));
          reads.push(reader.read(value));
          if (round % 7 === 0) {
            await Promise.all(writes);
          }
        }
        await Promise.all(writes);
        for (const { stamp, value: read } of await Promise.all(reads)) {
          const own = stamps[read];
          const next = stamps[read + 1];
          assert.ok(
            own && (isolation === 'statement' || compareChangeVersions(stamp, own) >= 0),
            'the value is in its stamp',
          );
          assert.ok(
            next === undefined || compareChangeVersions(stamp, next) < 0,
            'the next commit is not in the stamp',
          );
        }
      },
    ),
    one(
      'reads one snapshot: a commit during the work is neither in its later reads nor in its stamp',
      async ({ reader, write, value }) => {
        await write(1);
        let written: Promise<ChangeVersion> | undefined;
        const { stamp, value: reads } = await reader.read(async (manager) => {
          const before = await value(manager);
          written = write(2);
          await new Promise<void>((resolve) => setImmediate(resolve));
          return [before, await value(manager)];
        });
        assert.deepEqual(reads, [1, 1]);
        assert.ok(written);
        assert.ok(compareChangeVersions(stamp, await written) < 0);
        assert.equal((await reader.read(value)).value, 2);
      },
      isolation !== 'snapshot' && 'the stamp is read by an earlier statement',
    ),
    one('passes an error of the work on and can be read again', async ({ reader, write, value }) => {
      await write(1);
      const planned = new Error('planned');
      await assert.rejects(
        reader.read(async (manager) => {
          await value(manager);
          throw planned;
        }),
        planned,
      );
      assert.equal((await reader.read(value)).value, 1);
      await write(2);
      assert.equal((await reader.read(value)).value, 2);
    }),
  ];
}
