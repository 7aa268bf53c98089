import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { Leadership } from '../leadership/leadership.js';

/** Two replicas that compete for leases. */
export interface LeadershipHarness {
  readonly first: Leadership;
  /** May be the same object where replicas share one. */
  readonly second: Leadership;
  /** Makes the first replica lose its lease although it did not give it back, until another can take it. Left out: it never expires. */
  readonly lose?: (resource: string) => Promise<void>;
  /** Lets the time pass in which a lease that is not renewed expires; what is alive renews. Left out: nothing expires. */
  readonly pass?: () => Promise<void>;
  /** Resolves when nothing is left running: no timer of a lease. */
  readonly close: () => Promise<void>;
}

/** What every {@link Leadership} promises, as data. */
export function leadershipContract(
  create: () => Promise<LeadershipHarness> | LeadershipHarness,
  capabilities: { readonly expires?: boolean; readonly renews?: boolean } = {},
): readonly ContractCase[] {
  const one = (
    title: string,
    check: (harness: LeadershipHarness) => Promise<void>,
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
    one('has one holder per resource', async ({ first, second }) => {
      const lease = await first.acquire('a');
      assert.equal(lease?.resource, 'a');
      assert.equal(lease?.signal.aborted, false);
      assert.equal(await second.acquire('a'), undefined);
      assert.equal(await first.acquire('a'), undefined);
      await lease?.release();
    }),
    one('has one winner among replicas that ask at once', async ({ first, second }) => {
      const leases = await Promise.all(
        Array.from({ length: 10 }, (_, n) => (n % 2 === 0 ? first : second).acquire('a')),
      );
      const held = leases.filter((lease) => lease !== undefined);
      assert.equal(held.length, 1);
      await held[0]?.release();
    }),
    one('gives other resources to others', async ({ first, second }) => {
      const leases = [await first.acquire('a'), await second.acquire('b')];
      assert.ok(leases.every((lease) => lease !== undefined));
      await Promise.all(leases.map((lease) => lease?.release()));
    }),
    one('raises the fence with every holder', async ({ first, second }) => {
      let fence = -1n;
      for (let turn = 0; turn < 6; turn++) {
        const lease = await (turn % 3 === 0 ? first : second).acquire('a');
        assert.ok(lease !== undefined && lease.fence > fence);
        fence = lease.fence;
        await lease.release();
      }
    }),
    one('aborts the signal of a lease that is given back, once', async ({ first }) => {
      const lease = await first.acquire('a');
      assert.ok(lease);
      let aborted = 0;
      lease.signal.addEventListener('abort', () => (aborted += 1));
      await lease.release();
      await lease.release();
      assert.equal(aborted, 1);
    }),
    one('does not give back a later lease by releasing an earlier one again', async ({ first, second }) => {
      const earlier = await first.acquire('a');
      await earlier?.release();
      const later = await second.acquire('a');
      await earlier?.release();
      assert.ok(later && !later.signal.aborted);
      assert.equal(await first.acquire('a'), undefined);
      await later.release();
    }),
    one(
      'aborts the signal of a lost lease before another replica can hold it',
      async ({ first, second, lose }) => {
        assert.ok(lose);
        const lost = await first.acquire('a');
        assert.ok(lost);
        let heldByAnother = false;
        let abortedFirst: boolean | undefined;
        lost.signal.addEventListener('abort', () => (abortedFirst = !heldByAnother));
        await lose('a');
        const next = await second.acquire('a');
        heldByAnother = next !== undefined;
        assert.ok(next);
        assert.equal(abortedFirst, true);
        assert.ok(next.fence > lost.fence);
        // The one who lost it gives nothing back.
        await lost.release();
        assert.equal(next.signal.aborted, false);
        assert.equal(await first.acquire('a'), undefined);
        await next.release();
      },
      capabilities.expires !== true && 'leases do not expire here',
    ),
    one(
      'keeps a lease for as long as its holder lives',
      async ({ first, second, pass }) => {
        assert.ok(pass);
        const lease = await first.acquire('a');
        for (let times = 0; times < 5; times++) {
          await pass();
          assert.equal(lease?.signal.aborted, false);
          assert.equal(await second.acquire('a'), undefined);
        }
        await lease?.release();
        await pass();
        const next = await second.acquire('a');
        assert.ok(next);
        await next.release();
      },
      capabilities.renews !== true && 'leases do not expire here',
    ),
  ];
}
