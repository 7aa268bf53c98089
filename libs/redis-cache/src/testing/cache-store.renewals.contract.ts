import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { LeaseReply } from '../store/cache.store.js';
import {
  at,
  type Check,
  type Checks,
  KEY,
  LEASE_MS,
  OPEN,
  sweepAt,
  SYNCED,
  TTL_MS,
  write,
} from './cache-store.checks.js';

const KEPT_MS = 120_000;

/** A value of this version, kept beyond its life. */
async function loaded(c: Checks, version: number): Promise<void> {
  await c.lease('first');
  assert.equal((await c.store.set({ ...write(version), keptMs: KEPT_MS }, 'first')).outcome, 'applied');
}

async function asks(c: Checks, token: string, withinMs?: number): Promise<LeaseReply> {
  return await c.store.getOrLease(KEY, token, LEASE_MS, withinMs);
}

/** Which answer, and of which version the value that stays is. */
async function renews(c: Checks, token: string, withinMs: number, expected: string): Promise<void> {
  const reply = await asks(c, token, withinMs);
  const version = reply.kind === 'hit' ? reply.entry.version : reply.kept?.version;
  assert.equal(`${reply.kind} ${String(version?.version)}`, expected);
}

/** What a lease over a value that stays means for every request. */
export function renewals(check: Check): readonly ContractCase[] {
  return [
    check('keeps an old value for as long as it was told, and shows that its life is over', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      const entry = await c.store.get(KEY);
      assert.ok(entry?.kind === 'value' && entry.ttlMs <= 0 && entry.payload === '"5"');
      await subject.elapse(KEPT_MS);
      await c.holds('absent');
    }),
    check('keeps no negative entry beyond its life', async (c, subject) => {
      await c.lease('t');
      await c.store.set({ ...write(5), payload: null, keptMs: KEPT_MS }, 't');
      await subject.elapse(TTL_MS + 10);
      await c.holds('absent');
    }),
    check('grants no lease over a value to who does not ask for it', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      assert.equal((await asks(c, 't')).kind, 'hit');
    }),
    check(
      'grants a lease over a value that is old, and only then where no time before is given',
      async (c, subject) => {
        await loaded(c, 5);
        await renews(c, 't', 0, 'hit 5');
        await subject.elapse(TTL_MS + 10);
        await renews(c, 't', 0, 'leased 5');
        await c.holds('value', 5);
      },
    ),
    check(
      'grants a lease over a value so close to its end, and to one only; the others are served',
      async (c, subject) => {
        await loaded(c, 5);
        await renews(c, 't', TTL_MS / 2, 'hit 5');
        await subject.elapse(TTL_MS * 0.75);
        await renews(c, 't', TTL_MS / 2, 'leased 5');
        await renews(c, 'u', TTL_MS / 2, 'hit 5');
        await renews(c, 't', TTL_MS / 2, 'leased 5');
      },
    ),
    check('lets others wait for the one lease over an old value, with that value in hand', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      await renews(c, 't', 0, 'leased 5');
      const reply = await asks(c, 'u', 0);
      assert.ok(reply.kind === 'wait' && reply.remainingMs > 0 && reply.remainingMs <= LEASE_MS);
      assert.equal(reply.kept?.payload, '"5"');
      await subject.elapse(LEASE_MS + 10);
      await renews(c, 'u', 0, 'leased 5');
      await c.sets(6, 'leaseLost', 't');
    }),
    check(
      'takes what the loader of an old value brings at its version or above, and gives it a new life',
      async (c, subject) => {
        await loaded(c, 5);
        await subject.elapse(TTL_MS + 10);
        await renews(c, 't', 0, 'leased 5');
        await c.sets(5, 'applied', 't');
        const entry = await c.store.get(KEY);
        assert.ok(entry?.kind === 'value' && entry.ttlMs > TTL_MS / 2);
        await c.published('set 5', 'set 5');
      },
    ),
    check('refuses what the loader of an old value brings below it, and frees the lease', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      await renews(c, 't', 0, 'leased 5');
      await c.sets(4, 'stale', 't');
      await c.holds('value', 5);
      await renews(c, 'u', 0, 'leased 5');
      await c.sets(6, 'leaseLost', 't');
      await c.published('set 5', 'release null');
    }),
    check('lets the value stay when its loader fails: the next one may try', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      await renews(c, 't', 0, 'leased 5');
      await c.store.releaseLease(KEY, 't', SYNCED);
      await c.holds('value', 5);
      await renews(c, 'u', 0, 'leased 5');
      await c.published('set 5', 'release null');
    }),
    check('renews a lease over a value', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      await renews(c, 't', 0, 'leased 5');
      await subject.elapse(LEASE_MS * 0.75);
      assert.equal(await c.store.renewLease(KEY, 't', LEASE_MS), true);
      assert.equal(await c.store.renewLease(KEY, 'u', LEASE_MS), false);
      await subject.elapse(LEASE_MS * 0.75);
      await renews(c, 'u', 0, 'wait 5');
      await c.sets(6, 'applied', 't');
    }),
    check('keeps a value at least as long as the lease over it', async (c, subject) => {
      await c.lease('first');
      await c.sets(5, 'applied', 'first');
      await subject.elapse(TTL_MS - LEASE_MS / 4);
      await renews(c, 't', LEASE_MS, 'leased 5');
      await subject.elapse(LEASE_MS / 2);
      await c.sets(5, 'applied', 't');
    }),
    check(
      'replaces a value by a newer change also while it is loaded anew: the load is refused',
      async (c, subject) => {
        await loaded(c, 5);
        await subject.elapse(TTL_MS + 10);
        await renews(c, 't', 0, 'leased 5');
        await c.refreshes(5, 'duplicate');
        await c.refreshes(4, 'stale');
        await c.refreshes(7, 'applied');
        await c.sets(8, 'leaseLost', 't');
        await c.holds('value', 7);
      },
    ),
    check('replaces a value by a newer set without a lease also while it is loaded anew', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      await renews(c, 't', 0, 'leased 5');
      await c.sets(5, 'duplicate');
      await c.sets(6, 'applied');
      await c.sets(9, 'leaseLost', 't');
      await c.holds('value', 6);
    }),
    check('leaves the loader of an invalidated value a lease with that floor, and no more life', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      await renews(c, 't', 0, 'leased 5');
      await c.invalidates(5, 'duplicate');
      await subject.elapse(LEASE_MS / 2);
      await c.invalidates(7, 'deferred');
      await c.holds('lease', 7);
      await c.sets(6, 'stale', 't');
      await c.lease('u', 7);
      await c.sets(7, 'applied', 'u');
      await c.published('set 5', 'invalidate 5', 'invalidate 7', 'release null', 'set 7');
    }),
    check('makes an invalidated value absent when the lease over it has ended', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      await renews(c, 't', 0, 'leased 5');
      await subject.elapse(LEASE_MS + 10);
      await c.invalidates(7, 'applied');
      await c.holds('absent');
      await c.sets(8, 'leaseLost', 't');
    }),
    check('evicts a value that is loaded anew, and its load', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      await renews(c, 't', 0, 'leased 5');
      await c.store.evict(KEY, SYNCED);
      await c.holds('absent');
      await c.sets(8, 'leaseLost', 't');
    }),
    check('kills a lease over a value when it sweeps, also of a value that is above and stays', async (c, subject) => {
      await loaded(c, 5);
      await subject.elapse(TTL_MS + 10);
      await renews(c, 't', 0, 'leased 5');
      assert.equal((await c.sweeps(sweepAt(4))).swept, 1);
      await c.holds('value', 5);
      await c.sets(9, 'leaseLost', 't');
      await renews(c, 'u', 0, 'leased 5');
      assert.equal((await c.sweeps(sweepAt(5))).swept, 1);
      await c.holds('absent');
      await c.sets(9, 'leaseLost', 'u');
    }),
    check(
      'leaves a tombstone in the place of an invalidated value that nobody loads, where no sync feeds the namespace',
      async (c) => {
        await c.sets(5, 'applied', undefined, OPEN);
        await c.store.invalidate(KEY, at(6), OPEN, TTL_MS);
        await c.holds('tombstone', 6);
      },
    ),
  ];
}
