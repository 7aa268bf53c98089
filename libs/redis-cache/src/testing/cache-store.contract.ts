import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { StoreWrite } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';
import {
  at,
  type CacheStoreSubject,
  type Check,
  Checks,
  KEY,
  LEASE_MS,
  OPEN,
  SYNCED,
  TTL_MS,
  versionOf,
  write,
} from './cache-store.checks.js';
import { nextVersions } from './cache-store.next-versions.contract.js';
import { populatedNamespaces } from './cache-store.populated.contract.js';
import { renewals } from './cache-store.renewals.contract.js';
import { setsOfMany } from './cache-store.sets-of-many.contract.js';
import { sweeps } from './cache-store.sweeps.contract.js';

/**
 * What every {@link CacheStore} guarantees, as data.
 *
 * @param create makes a fresh, empty store for each case.
 * @param of what its entries are; `hashes`: what a `FieldsStore` gives as its `hashes`.
 * @example
 * ```ts
 * runContract({ describe, it }, 'CacheStore: mine', cacheStoreContract(() => mySubject()));
 * ```
 */
export function cacheStoreContract(
  create: () => CacheStoreSubject | Promise<CacheStoreSubject>,
  of: 'values' | 'hashes' = 'values',
): readonly ContractCase[] {
  const check = (title: string, body: (checks: Checks, subject: CacheStoreSubject) => Promise<void>): ContractCase => ({
    title,
    run: async () => {
      const subject = await create();
      try {
        await body(new Checks(subject), subject);
      } finally {
        await subject.close();
      }
    },
  });
  return [
    ...readingAndLives(check),
    ...setsWithoutLease(check),
    ...leases(check),
    ...changes(check),
    ...openNamespaces(check),
    ...sweeps(check),
    ...populatedNamespaces(check),
    // Hashes of fields are not loaded anew while they stand, have no versions of the store's, and are not set together.
    ...(of === 'values' ? [...renewals(check), ...nextVersions(check), ...setsOfMany(check)] : []),
  ];
}

function readingAndLives(check: Check): readonly ContractCase[] {
  return [
    check('answers nothing for a key that was never written', async (c) => {
      await c.holds('absent');
      assert.deepEqual(await c.store.getMany([KEY, '{other}:v']), [undefined, undefined]);
    }),
    check('answers value, version and remaining life in one read', async (c, subject) => {
      await c.loaded(5);
      await subject.elapse(10_000);
      const entry = await c.store.get(KEY);
      assert.equal(entry?.kind === 'value' ? entry.payload : undefined, '"5"');
      assert.equal(versionOf(entry), 5n);
      assert.ok(entry !== undefined && entry.ttlMs > 0 && entry.ttlMs <= TTL_MS - 9_000);
    }),
    check('aligns the answers of getMany with the keys', async (c) => {
      await c.loaded(5);
      const [first, second] = await c.store.getMany(['{other}:v', KEY]);
      assert.equal(first, undefined);
      assert.equal(versionOf(second), 5n);
    }),
    check('forgets a value when its life is over', async (c, subject) => {
      await c.loaded(5);
      await subject.elapse(TTL_MS + 1);
      await c.holds('absent');
    }),
    check('keeps a negative entry with its stamp', async (c) => {
      await c.lease();
      assert.equal((await c.store.set({ ...write(5), payload: null }, 't')).outcome, 'applied');
      await c.holds('negative', 5);
      const reply = await c.store.getOrLease(KEY, 'u', LEASE_MS);
      assert.equal(reply.kind, 'hit');
      await c.refreshes(6, 'applied');
      await c.holds('value', 6);
    }),
    check('orders by epoch before version, and beyond what a double can tell apart', async (c) => {
      const big = 9_007_199_254_740_992n;
      await c.lease();
      const stored = (epoch: bigint, version: bigint): StoreWrite => ({
        ...write(0),
        version: new EntryVersion(epoch, version),
      });
      assert.equal((await c.store.set(stored(1n, big), 't')).outcome, 'applied');
      assert.equal((await c.store.set(stored(1n, big + 1n))).outcome, 'applied');
      assert.equal((await c.store.set(stored(1n, big))).outcome, 'stale');
      assert.equal((await c.store.set(stored(2n, 1n))).outcome, 'applied');
      assert.equal((await c.store.set(stored(1n, big + 9n))).outcome, 'stale');
    }),
  ];
}

function setsWithoutLease(check: Check): readonly ContractCase[] {
  return [
    check('replaces an older value only: newer applied, equal duplicate, older stale', async (c) => {
      await c.loaded(5);
      await c.sets(5, 'duplicate');
      await c.sets(4, 'stale');
      await c.sets(6, 'applied');
      await c.holds('value', 6);
    }),
    check('answers the stored entry to a refused set', async (c) => {
      await c.loaded(5);
      const reply = await c.store.set(write(4));
      assert.equal(versionOf(reply.current), 5n);
      assert.equal(reply.current?.kind === 'value' ? reply.current.payload : undefined, '"5"');
    }),
    check('never creates in a synced namespace, neither on nothing nor on a lease', async (c) => {
      await c.sets(5, 'absent');
      await c.holds('absent');
      await c.lease();
      await c.sets(5, 'absent');
      await c.holds('lease', 0);
    }),
    check('publishes an applied set and no refused one', async (c) => {
      await c.loaded(5);
      await c.sets(4, 'stale');
      await c.sets(6, 'applied');
      await c.published('set 5', 'set 6');
    }),
  ];
}

function leases(check: Check): readonly ContractCase[] {
  return [
    check('gives one lease; others wait for what is left of it', async (c) => {
      await c.lease('t');
      const reply = await c.store.getOrLease(KEY, 'u', LEASE_MS);
      assert.equal(reply.kind, 'wait');
      assert.ok(reply.kind === 'wait' && reply.remainingMs > 0 && reply.remainingMs <= LEASE_MS);
      await c.lease('t');
    }),
    check('answers the entry instead of a lease when there is one', async (c) => {
      await c.loaded(5);
      const reply = await c.store.getOrLease(KEY, 'u', LEASE_MS);
      assert.equal(reply.kind === 'hit' ? reply.entry.version.version : undefined, 5n);
    }),
    check('accepts a set under a lease at its floor and above', async (c) => {
      await c.lease();
      await c.invalidates(3, 'deferred');
      await c.sets(3, 'applied', 't');
      await c.holds('value', 3);
    }),
    check('refuses a set below the floor, frees the lease and keeps the floor for the next one', async (c) => {
      await c.lease('t');
      await c.invalidates(3, 'deferred');
      await c.sets(2, 'stale', 't');
      await c.holds('lease', 3);
      await c.sets(3, 'leaseLost', 't');
      await c.lease('u', 3);
      await c.sets(2, 'stale', 'u');
      await c.lease('v', 3);
      await c.sets(3, 'applied', 'v');
    }),
    check('answers leaseLost whatever a set with a dead lease finds', async (c, subject) => {
      await c.sets(9, 'leaseLost', 'never-given');
      await c.lease('t');
      await subject.elapse(LEASE_MS + 1);
      await c.sets(9, 'leaseLost', 't');
      await c.holds('absent');
      await c.lease('u');
      await c.sets(9, 'leaseLost', 't');
      await c.holds('lease', 0);
      await c.sets(5, 'applied', 'u');
      await c.sets(9, 'leaseLost', 't');
      await c.holds('value', 5);
    }),
    check('renews a lease that stands, and says when it is lost', async (c, subject) => {
      await c.lease('t');
      await subject.elapse(LEASE_MS * 0.8);
      assert.equal(await c.store.renewLease(KEY, 't', LEASE_MS), true);
      assert.equal(await c.store.renewLease(KEY, 'u', LEASE_MS), false);
      await subject.elapse(LEASE_MS * 0.8);
      await c.invalidates(3, 'deferred');
      await c.sets(3, 'applied', 't');
      assert.equal(await c.store.renewLease(KEY, 't', LEASE_MS), false);
    }),
    check('keeps the floor when a lease is renewed', async (c) => {
      await c.lease('t');
      await c.invalidates(3, 'deferred');
      assert.equal(await c.store.renewLease(KEY, 't', LEASE_MS), true);
      await c.sets(2, 'stale', 't');
    }),
    check('releases a failed load to absent, with no floor, and publishes that', async (c) => {
      await c.lease('t');
      await c.invalidates(3, 'deferred');
      await c.store.releaseLease(KEY, 't', SYNCED);
      await c.holds('absent');
      await c.lease('u', 0);
      await c.published('invalidate 3', 'release null');
    }),
    check('does not release what another holds', async (c) => {
      await c.lease('t');
      await c.store.releaseLease(KEY, 'u', SYNCED);
      await c.holds('lease', 0);
      await c.published();
    }),
  ];
}

function changes(check: Check): readonly ContractCase[] {
  return [
    check('refreshes an older value, and never an equal or newer one', async (c) => {
      await c.loaded(5);
      await c.refreshes(6, 'applied');
      await c.refreshes(6, 'duplicate');
      await c.refreshes(4, 'stale');
      await c.holds('value', 6);
    }),
    check('never creates by a change: a replayed old one resurrects nothing', async (c) => {
      await c.refreshes(6, 'absent');
      await c.invalidates(6, 'absent');
      await c.holds('absent');
    }),
    check('raises the floor of a lease by a change, and never lowers it', async (c) => {
      await c.lease('t');
      await c.refreshes(4, 'deferred');
      await c.invalidates(6, 'deferred');
      await c.refreshes(5, 'deferred');
      await c.invalidates(3, 'deferred');
      await c.holds('lease', 6);
      await c.sets(5, 'stale', 't');
    }),
    check('gives a lease no longer life when its floor rises, nor when it is freed', async (c, subject) => {
      await c.lease('t');
      await subject.elapse(LEASE_MS / 2);
      await c.invalidates(4, 'deferred');
      assert.equal((await c.store.refresh(write(5))).outcome, 'deferred');
      await subject.elapse(LEASE_MS / 2 + 1);
      await c.holds('absent');
      await c.lease('u');
      await c.invalidates(9, 'deferred');
      await c.sets(8, 'stale', 'u');
      await subject.elapse(LEASE_MS + 1);
      await c.holds('absent');
    }),
    check('raises the floor of a lease that is free', async (c) => {
      await c.lease('t');
      await c.invalidates(3, 'deferred');
      await c.sets(2, 'stale', 't');
      await c.refreshes(5, 'deferred');
      await c.lease('u', 5);
    }),
    check('invalidates an older value to absent; one of equal or higher stamp stays', async (c) => {
      await c.loaded(5);
      await c.invalidates(5, 'duplicate');
      await c.invalidates(4, 'stale');
      await c.holds('value', 5);
      await c.invalidates(6, 'applied');
      await c.holds('absent');
    }),
    check('leaves nothing behind when it evicts, and kills the lease', async (c) => {
      await c.loaded(5);
      await c.store.evict(KEY, SYNCED);
      await c.holds('absent');
      await c.lease('t', 0);
      await c.invalidates(3, 'deferred');
      await c.store.evict(KEY, SYNCED);
      await c.sets(9, 'leaseLost', 't');
      await c.lease('u', 0);
    }),
    check('publishes every change with the stamp that was reached, also when it found nothing', async (c) => {
      await c.refreshes(2, 'absent');
      await c.invalidates(3, 'absent');
      await c.store.evict(KEY, SYNCED);
      await c.lease();
      await c.invalidates(4, 'deferred');
      await c.refreshes(3, 'deferred');
      await c.sets(4, 'applied', 't');
      await c.refreshes(3, 'stale');
      await c.invalidates(4, 'duplicate');
      await c.published(
        'refresh 2',
        'invalidate 3',
        'evict null',
        'invalidate 4',
        'refresh 4',
        'set 4',
        'refresh 4',
        'invalidate 4',
      );
    }),
    check('answers a change with the stamp that the key has reached', async (c) => {
      await c.loaded(5);
      assert.equal((await c.store.refresh(write(3))).version?.version, 5n);
      assert.equal((await c.store.invalidate(KEY, at(7), SYNCED, TTL_MS)).version?.version, 7n);
    }),
  ];
}

function openNamespaces(check: Check): readonly ContractCase[] {
  return [
    check('creates by a set without a lease where no sync feeds the namespace', async (c) => {
      await c.sets(5, 'applied', undefined, OPEN);
      await c.holds('value', 5);
    }),
    check('leaves a tombstone where no sync feeds the namespace: only newer writes pass it', async (c, subject) => {
      await c.sets(5, 'applied', undefined, OPEN);
      await c.invalidates(7, 'applied', OPEN);
      await c.holds('tombstone', 7);
      await c.sets(6, 'stale', undefined, OPEN);
      await c.sets(7, 'duplicate', undefined, OPEN);
      await c.refreshes(7, 'duplicate', OPEN);
      await c.sets(8, 'applied', undefined, OPEN);
      await c.invalidates(9, 'applied', OPEN);
      await subject.elapse(TTL_MS + 1);
      await c.holds('absent');
    }),
    check('leaves a tombstone also where an invalidation finds nothing', async (c) => {
      await c.invalidates(7, 'absent', OPEN);
      await c.holds('tombstone', 7);
      await c.sets(6, 'stale', undefined, OPEN);
    }),
    check('hands the stamp of a tombstone to the next lease as its floor', async (c) => {
      await c.invalidates(7, 'absent', OPEN);
      await c.lease('t', 7);
      await c.sets(6, 'stale', 't', OPEN);
      await c.lease('u', 7);
      await c.sets(7, 'applied', 'u', OPEN);
    }),
    check('lets a set without a lease overtake a loader above its floor only', async (c) => {
      await c.invalidates(7, 'absent', OPEN);
      await c.lease('t', 7);
      await c.sets(7, 'stale', undefined, OPEN);
      await c.holds('lease', 7);
      await c.sets(8, 'applied', undefined, OPEN);
      await c.sets(9, 'leaseLost', 't', OPEN);
    }),
  ];
}
