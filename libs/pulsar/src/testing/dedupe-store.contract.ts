import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { DedupeClaim, DedupeStore } from '../dedupe/dedupe.store.js';

/** A fresh, empty store under test. */
export interface DedupeStoreSubject {
  readonly store: DedupeStore;
  /** Lets `ms` milliseconds pass for the store. */
  readonly elapse: (ms: number) => Promise<void>;
  close(): Promise<void>;
}

const CLAIM_MS = 1_000;
const TTL_MS = 60_000;

/**
 * What every {@link DedupeStore} guarantees, as data.
 *
 * @param create makes a fresh, empty store for each case.
 */
export function dedupeStoreContract(
  create: () => DedupeStoreSubject | Promise<DedupeStoreSubject>,
): readonly ContractCase[] {
  const check = (title: string, body: (subject: DedupeStoreSubject) => Promise<void>): ContractCase => ({
    title,
    run: async () => {
      const subject = await create();
      try {
        await body(subject);
      } finally {
        await subject.close();
      }
    },
  });
  return [
    check('gives a claim to one, and tells the others how long it lives', async ({ store, elapse }) => {
      await claimed(store);
      await elapse(400);
      const other = await store.claim('k', CLAIM_MS);
      assert.equal(other.state, 'inProgress');
      assert.ok(other.state === 'inProgress' && other.remainingMs > 500 && other.remainingMs <= 601);
      await claimed(store, 'another');
    }),
    check('gives one of many claims that are made at once', async ({ store }) => {
      const claims = await Promise.all(Array.from({ length: 20 }, () => store.claim('k', CLAIM_MS)));
      assert.equal(claims.filter(({ state }) => state === 'claimed').length, 1);
      assert.equal(claims.filter(({ state }) => state === 'inProgress').length, 19);
    }),
    check('answers done once it is completed, until the time to remember it is over', async ({ store, elapse }) => {
      assert.equal(await store.complete('k', await claimed(store), TTL_MS), true);
      await elapse(TTL_MS - 1);
      assert.deepEqual(await store.claim('k', CLAIM_MS), { state: 'done' });
      await elapse(2);
      await claimed(store);
    }),
    check('gives the claim again when it is released', async ({ store }) => {
      await store.release('k', await claimed(store));
      await claimed(store);
    }),
    check(
      'gives the claim to one other when its holder died, and the old token is good for nothing',
      async ({ store, elapse }) => {
        const old = await claimed(store);
        await elapse(CLAIM_MS + 1);
        const claims = await Promise.all(Array.from({ length: 10 }, () => store.claim('k', CLAIM_MS)));
        const winners = claims.filter(
          (one): one is Extract<DedupeClaim, { state: 'claimed' }> => one.state === 'claimed',
        );
        assert.equal(winners.length, 1);
        assert.notEqual(winners[0]?.token, old);
        assert.equal(await store.complete('k', old, TTL_MS), false);
        await store.release('k', old);
        assert.equal((await store.claim('k', CLAIM_MS)).state, 'inProgress');
        assert.equal(await store.complete('k', winners[0]?.token ?? '', TTL_MS), true);
      },
    ),
    check('never forgets what is done by a release', async ({ store }) => {
      const token = await claimed(store);
      await store.complete('k', token, TTL_MS);
      await store.release('k', token);
      assert.deepEqual(await store.claim('k', CLAIM_MS), { state: 'done' });
    }),
    check('keeps keys of any length and letters apart', async ({ store }) => {
      const long = 'é\0'.repeat(2_000);
      await claimed(store, `${long}a`);
      await claimed(store, `${long}b`);
      assert.equal((await store.claim(`${long}a`, CLAIM_MS)).state, 'inProgress');
    }),
  ];
}

async function claimed(store: DedupeStore, key = 'k'): Promise<string> {
  const claim = await store.claim(key, CLAIM_MS);
  assert.equal(claim.state, 'claimed');
  return claim.state === 'claimed' ? claim.token : '';
}
