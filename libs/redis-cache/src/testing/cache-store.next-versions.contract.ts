import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { SetReply, StoredEntry } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';
import { type Check, type Checks, KEY, LEASE_MS, OPEN, TTL_MS, write } from './cache-store.checks.js';

const FAR_AHEAD = new EntryVersion(3n, 1n, 9n);

async function setsNext(c: Checks, outcome: string, token?: string): Promise<EntryVersion> {
  const reply: SetReply = await c.store.set({ ...write(0, OPEN), version: 'next' }, token);
  assert.equal(reply.outcome, outcome);
  return stampOf(reply.current);
}

async function invalidatesNext(c: Checks, outcome: string): Promise<EntryVersion> {
  const reply = await c.store.invalidate(KEY, 'next', OPEN, TTL_MS);
  assert.equal(reply.outcome, outcome);
  return reply.version ?? EntryVersion.ZERO;
}

function stampOf(entry: StoredEntry | undefined): EntryVersion {
  return entry === undefined ? EntryVersion.ZERO : entry.kind === 'lease' ? entry.floor : entry.version;
}

function above(later: EntryVersion, earlier: EntryVersion): void {
  assert.equal(later.compare(earlier), 1, `${later.toString()} is not above ${earlier.toString()}`);
}

/** The versions that a store gives. */
export function nextVersions(check: Check): readonly ContractCase[] {
  return [
    check('gives each next version above the one before, and says which', async (c) => {
      const first = await setsNext(c, 'applied');
      const second = await setsNext(c, 'applied');
      above(second, first);
      const stored = await c.store.get(KEY);
      assert.equal(stored?.kind, 'value');
      assert.deepEqual(stampOf(stored), second);
      above(await invalidatesNext(c, 'applied'), second);
    }),
    check('gives a next version above what is held, however high that is', async (c) => {
      await c.store.set({ ...write(0, OPEN), version: FAR_AHEAD });
      assert.deepEqual(await setsNext(c, 'applied'), new EntryVersion(3n, 1n, 10n));
      assert.deepEqual(await invalidatesNext(c, 'applied'), new EntryVersion(3n, 1n, 11n));
      assert.deepEqual(await setsNext(c, 'applied'), new EntryVersion(3n, 1n, 12n));
    }),
    check('gives a next version to what a loader brings under its lease', async (c) => {
      const { kind } = await c.store.getOrLease(KEY, 't', LEASE_MS);
      assert.equal(kind, 'leased');
      await setsNext(c, 'applied', 't');
      await c.holds('value', Number(stampOf(await c.store.get(KEY)).version));
    }),
    check('lets a set of the next version overtake a loader, whose own is refused', async (c) => {
      await c.store.getOrLease(KEY, 't', LEASE_MS);
      const version = await setsNext(c, 'applied');
      const reply = await c.store.set({ ...write(0, OPEN), version: 'next' }, 't');
      assert.equal(reply.outcome, 'leaseLost');
      assert.deepEqual(stampOf(reply.current), version);
    }),
    check('kills a lease by an invalidation of the next version: its loader may have read what is old', async (c) => {
      await c.store.getOrLease(KEY, 't', LEASE_MS);
      const version = await invalidatesNext(c, 'applied');
      await setsNext(c, 'leaseLost', 't');
      const again = await c.store.getOrLease(KEY, 'u', LEASE_MS);
      assert.deepEqual(again.kind === 'leased' && again.floor, version);
      above(await setsNext(c, 'applied', 'u'), version);
    }),
    check('kills a lease over a value by an invalidation of the next version', async (c, subject) => {
      await c.store.set({ ...write(0, OPEN), version: 'next', keptMs: TTL_MS });
      await subject.elapse(TTL_MS + 10);
      assert.equal((await c.store.getOrLease(KEY, 't', LEASE_MS, 0)).kind, 'leased');
      await invalidatesNext(c, 'applied');
      await setsNext(c, 'leaseLost', 't');
    }),
    check('publishes the next version that it gave', async (c, subject) => {
      const set = await setsNext(c, 'applied');
      const invalidated = await invalidatesNext(c, 'applied');
      const absent = await subject.published(OPEN.channel);
      assert.deepEqual(
        absent.map(({ action, version }) => [action, version]),
        [
          ['set', set],
          ['invalidate', invalidated],
        ],
      );
    }),
    check('stamps a key that has no value: everybody gets the same, until it is invalidated', async (c, subject) => {
      const first = await c.store.stamp(KEY, TTL_MS);
      above(first, EntryVersion.ZERO);
      assert.deepEqual(await c.store.stamp(KEY, TTL_MS), first);
      const second = await invalidatesNext(c, 'applied');
      above(second, first);
      assert.deepEqual(await c.store.stamp(KEY, TTL_MS), second);
      await subject.elapse(TTL_MS / 2);
      assert.deepEqual(await c.store.stamp(KEY, TTL_MS), second);
      await subject.elapse(TTL_MS * 0.75);
      assert.deepEqual(await c.store.stamp(KEY, TTL_MS), second, 'its life did not begin anew');
      await subject.elapse(TTL_MS + 10);
      above(await c.store.stamp(KEY, TTL_MS), second);
    }),
  ];
}
