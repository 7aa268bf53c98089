import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import { Gate } from './test-replicas.js';

/** One replica of any two-level cache, as its users see it. Rows are numbers that only grow; the number of a row is its version, too. */
export interface CachingReplica {
  /** The row from the nearest level, loaded if need be. */
  read(key: string, load: () => Promise<number>): Promise<number | undefined>;
  /** Tells the cache, after the commit, that the row became this one, in the way that the cache has for it. */
  committed(key: string, row: number): Promise<void>;
}

/** Two replicas that share a store and a backplane. */
export interface TwoReplicas {
  readonly replicas: readonly [CachingReplica, CachingReplica];
  /** Ends the connections by which replicas are told of changes, while the store can be asked. */
  loseMessages(): Promise<void>;
  /** Resolves when they are there again. */
  messagesAreBack(): Promise<void>;
  /** Resolves when everything that was told has been heard. */
  heard(): Promise<void>;
  close(): Promise<void>;
}

const KEY = 'row';

/**
 * Two races that a two-level cache has to withstand whatever it is made of. It runs on any: write the three or four lines that {@link TwoReplicas} asks
 * for, and look.
 *
 * @param create makes two fresh replicas for each case.
 */
export function twoReplicasContract(create: () => Promise<TwoReplicas>): readonly ContractCase[] {
  const check = (title: string, body: (two: TwoReplicas) => Promise<void>): ContractCase => ({
    title,
    run: async () => {
      const two = await create();
      try {
        await body(two);
      } finally {
        await two.close();
      }
    },
  });
  return [
    check('keeps nothing that a loader read before a change which came while it ran', async (two) => {
      const [a, b] = two.replicas;
      const read = new Gate<number>();
      const reading = new Gate<void>();
      let row = 1;
      const late = a.read(KEY, () => {
        reading.open();
        // It has read the row, and is slow to bring it. Asked again, it reads anew.
        return row === 1 ? read.promise : Promise.resolve(row);
      });
      await reading.promise;
      row = 2;
      await b.committed(KEY, row);
      await two.heard();
      read.open(1);
      await late;
      await two.heard();
      assert.deepEqual([await a.read(KEY, async () => row), await b.read(KEY, async () => row)], [2, 2]);
    }),
    check(
      'shows no row that was changed while the messages of a replica were lost, once they are back',
      async (two) => {
        const [a, b] = two.replicas;
        await a.read(KEY, async () => 1);
        assert.equal(await b.read(KEY, async () => 1), 1);
        await two.loseMessages();
        await a.committed(KEY, 2);
        await two.messagesAreBack();
        await two.heard();
        assert.equal(await b.read(KEY, async () => 2), 2);
      },
    ),
  ];
}
