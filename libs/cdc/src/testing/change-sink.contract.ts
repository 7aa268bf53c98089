import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { RowChange } from '../change/row-change.js';
import type { ChangeSink, FeedEvent, HandOff } from '../sink/change.sink.js';

/** A sink, a way to make changes that it can take, and a look at what it has stored. */
export interface ChangeSinkHarness {
  readonly sink: ChangeSink;
  /** A change that the sink can take: the `n`th row of the table, at `version`. */
  readonly change: (n: number, version: bigint) => RowChange;
  /** How often each (row, version) is stored where the sink promises. */
  readonly stored: () => Promise<ReadonlyMap<string, number>>;
  /** Names a change in {@link stored}. */
  readonly nameOf: (change: RowChange) => string;
  /** The store fails until {@link mend}. Left out: it cannot be made to fail. */
  readonly break?: () => void;
  readonly mend?: () => void;
  /** A change that the sink can never take. Left out: there is none. */
  readonly poison?: () => RowChange;
  readonly close: () => Promise<void>;
}

/** What every {@link ChangeSink} promises, as data. */
export function changeSinkContract(
  create: () => Promise<ChangeSinkHarness> | ChangeSinkHarness,
  capabilities: { readonly breaks?: boolean; readonly poison?: boolean } = {},
): readonly ContractCase[] {
  const one = (
    title: string,
    check: (harness: ChangeSinkHarness) => Promise<void>,
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
    one('names one instance for as long as it lives', async (harness) => {
      const { instance } = harness.sink;
      assert.ok(instance.length > 0);
      await harness.sink.accept([harness.change(1, 1n)], handOff(harness));
      assert.equal(harness.sink.instance, instance);
    }),
    one('has stored every change that it answered as accepted, when it answers', async (harness) => {
      const changes = Array.from({ length: 25 }, (_, n) => harness.change(n, BigInt(1 + (n % 4))));
      const outcomes = await harness.sink.accept(changes, handOff(harness));
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        changes.map(() => 'accepted'),
      );
      const stored = await harness.stored();
      assert.ok(changes.every((change) => stored.has(harness.nameOf(change))));
    }),
    one('takes nothing for nothing', async (harness) => {
      assert.deepEqual(await harness.sink.accept([], handOff(harness)), []);
    }),
    one('takes the same changes twice without harm', async (harness) => {
      const changes = [harness.change(1, 1n), harness.change(2, 1n)];
      await harness.sink.accept(changes, handOff(harness));
      const outcomes = await harness.sink.accept(changes, handOff(harness));
      assert.ok(outcomes.every(({ status }) => status === 'accepted'));
      assert.equal((await harness.stored()).size, 2);
    }),
    one('takes every kind of event', async (harness) => {
      for (const event of EVENTS) {
        await harness.sink.announce(event, handOff(harness));
      }
    }),
    one(
      'rejects when its store fails, and takes the same changes when it is back',
      async (harness) => {
        const changes = [harness.change(1, 1n), harness.change(2, 1n)];
        harness.break?.();
        await assert.rejects(harness.sink.accept(changes, handOff(harness)));
        await assert.rejects(harness.sink.announce({ kind: 'heartbeat', version: 1n }, handOff(harness)));
        harness.mend?.();
        const outcomes = await harness.sink.accept(changes, handOff(harness));
        assert.ok(outcomes.every(({ status }) => status === 'accepted'));
        assert.equal((await harness.stored()).size, 2);
      },
      capabilities.breaks !== true && 'its store cannot be made to fail',
    ),
    one(
      'tells poison from what it accepts, aligned with the changes',
      async (harness) => {
        const poison = harness.poison?.();
        assert.ok(poison !== undefined);
        const outcomes = await harness.sink.accept(
          [harness.change(1, 1n), poison, harness.change(2, 1n)],
          handOff(harness),
        );
        assert.deepEqual(
          outcomes.map(({ status }) => status),
          ['accepted', 'poison', 'accepted'],
        );
      },
      capabilities.poison !== true && 'it takes everything',
    ),
  ];
}

const EVENTS: readonly FeedEvent[] = [
  { kind: 'started', version: null },
  { kind: 'started', version: 3n },
  { kind: 'resyncStarted', reason: 'firstStart', fromVersion: 3n },
  { kind: 'resyncCompleted', reason: 'firstStart', version: 5n },
  { kind: 'heartbeat', version: 5n },
];

function handOff({ change }: Pick<ChangeSinkHarness, 'change'>): HandOff {
  const { source, table, version } = change(0, 1n);
  return { source, table, epoch: version.epoch, fence: 1n, signal: new AbortController().signal };
}
