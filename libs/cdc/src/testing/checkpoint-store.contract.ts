import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { Checkpoint, CheckpointKey, CheckpointStore } from '../checkpoint/checkpoint.store.js';

/** A fresh, empty store. */
export interface CheckpointStoreHarness {
  readonly store: CheckpointStore;
  /** The same store after its process ended. Left out: nothing survives that. */
  readonly reopen?: () => Promise<CheckpointStore>;
  readonly close: () => Promise<void>;
}

/** What every {@link CheckpointStore} promises, as data. */
export function checkpointStoreContract(
  create: () => Promise<CheckpointStoreHarness> | CheckpointStoreHarness,
  capabilities: { readonly durable?: boolean } = {},
): readonly ContractCase[] {
  const one = (
    title: string,
    check: (harness: CheckpointStoreHarness) => Promise<void>,
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
    one('has nothing for a consumer that never saved', async ({ store }) => {
      assert.equal(await store.load(KEY), undefined);
    }),
    one('answers what was saved last, in every phase', async ({ store }) => {
      for (const checkpoint of PHASES) {
        assert.equal(await store.save(checkpoint, 1n), 'saved');
        assert.deepEqual(await store.load(KEY), checkpoint);
      }
    }),
    one('keeps positions apart by consumer, source and table', async ({ store }) => {
      const keys: CheckpointKey[] = [
        KEY,
        { ...KEY, consumer: 'other' },
        { ...KEY, source: 'other' },
        { ...KEY, table: 'dbo.other' },
        { consumer: 'a', source: 'b.c', table: 'd' },
        { consumer: 'a.b', source: 'c', table: 'd' },
        { consumer: 'a/b', source: 'c:d', table: '' },
        { consumer: 'a', source: 'b/c', table: ':d' },
      ];
      for (const [index, key] of keys.entries()) {
        assert.equal(await store.save({ ...STREAMING, ...key, epoch: BigInt(index) }, 1n), 'saved');
      }
      for (const [index, key] of keys.entries()) {
        assert.equal((await store.load(key))?.epoch, BigInt(index));
      }
    }),
    one('refuses a lower fence and changes nothing', async ({ store }) => {
      const newer = { ...STREAMING, epoch: 9n };
      await store.save(newer, 5n);
      assert.equal(await store.save({ ...STREAMING, epoch: 10n }, 4n), 'fenced');
      assert.deepEqual(await store.load(KEY), newer);
      assert.equal(await store.save({ ...STREAMING, epoch: 11n }, 5n), 'saved');
      assert.equal(await store.save({ ...STREAMING, epoch: 12n }, 6n), 'saved');
      assert.equal(await store.save({ ...STREAMING, epoch: 13n }, 5n), 'fenced');
      assert.equal((await store.load(KEY))?.epoch, 12n);
    }),
    one('fences one position without another', async ({ store }) => {
      await store.save(STREAMING, 9n);
      assert.equal(await store.save({ ...STREAMING, table: 'dbo.other' }, 1n), 'saved');
    }),
    one('lets the highest fence win among savers that overlap', async ({ store }) => {
      const fences = [3n, 7n, 1n, 9n, 2n, 8n];
      await Promise.all(fences.map((fence) => store.save({ ...STREAMING, epoch: fence }, fence)));
      assert.equal((await store.load(KEY))?.epoch, 9n);
    }),
    one('keeps versions and fences beyond 2^53', async ({ store }) => {
      const version = 9_007_199_254_740_993n;
      const checkpoint: Checkpoint = {
        ...STREAMING,
        epoch: version,
        beginVersion: version + 2n,
        phase: { kind: 'streaming', version: version + 4n, cursor: { version: version + 6n, key: '1' } },
      };
      await store.save(checkpoint, version + 1n);
      assert.deepEqual(await store.load(KEY), checkpoint);
      assert.equal(await store.save(STREAMING, version), 'fenced');
    }),
    one(
      'finds positions and fences again after its process ended',
      async ({ store, reopen }) => {
        assert.ok(reopen);
        assert.equal(store.durable, true);
        await store.save(STREAMING, 5n);
        const again = await reopen();
        assert.deepEqual(await again.load(KEY), STREAMING);
        assert.equal(await again.save(STREAMING, 4n), 'fenced');
      },
      capabilities.durable !== true && 'the store ends with its process',
    ),
  ];
}

const KEY: CheckpointKey = { consumer: 'publisher', source: 'db', table: 'dbo.stock' };

const BASE = {
  ...KEY,
  epoch: 7n,
  objectId: '42',
  beginVersion: 3n,
  schemaHash: 'abc',
  sinkInstance: 'sink-1',
  upToDateAtMs: 1_795_838_400_123,
};

const STREAMING: Checkpoint = { ...BASE, phase: { kind: 'streaming', version: 12n, cursor: null } };

const PHASES: readonly Checkpoint[] = [
  { ...BASE, phase: { kind: 'bootstrap', reason: 'firstStart', fromVersion: 12n, afterKey: null } },
  {
    ...BASE,
    phase: { kind: 'bootstrap', reason: 'tableTruncated', fromVersion: 12n, afterKey: '"a,\u0000\u{1F32C}",7' },
  },
  STREAMING,
  { ...BASE, epoch: 8n, phase: { kind: 'streaming', version: 13n, cursor: { version: 14n, key: '' } } },
  {
    ...BASE,
    objectId: '',
    sinkInstance: '',
    upToDateAtMs: null,
    phase: { kind: 'streaming', version: 0n, cursor: null },
  },
];
