import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { StoreOrigin, StoreWrite } from '../store/cache.store.js';
import {
  at,
  CHANNEL,
  type Check,
  type Checks,
  LEASE_MS,
  OPEN,
  SYNCED,
  TTL_MS,
  versionOf,
} from './cache-store.checks.js';

const KEYS = ['{test:contract:g}k}:v', '{test:contract:g}l}:v', '{test:contract:g}m}:v'] as const;

function writes(versions: readonly number[], origin: StoreOrigin): readonly StoreWrite[] {
  return versions.map((version, index) => ({
    ...origin,
    key: KEYS[index] ?? KEYS[0],
    version: at(version),
    payload: `"${version}"`,
    ttlMs: TTL_MS,
  }));
}

async function setsAll(
  c: Checks,
  versions: readonly number[],
  expected: readonly string[],
  origin = OPEN,
): Promise<void> {
  const replies = await c.store.setAll(writes(versions, origin));
  assert.deepEqual(
    replies.map(({ outcome }) => outcome),
    expected,
  );
}

async function hold(c: Checks, ...versions: readonly (number | undefined)[]): Promise<void> {
  const entries = await c.store.getMany(KEYS);
  assert.deepEqual(
    entries.map(versionOf),
    versions.map((version) => (version === undefined ? undefined : BigInt(version))),
  );
}

/** All of them, or none. */
export function setsOfMany(check: Check): readonly ContractCase[] {
  return [
    check('stores many entries in one step', async (c) => {
      await setsAll(c, [5, 6, 7], ['applied', 'applied', 'applied']);
      await hold(c, 5, 6, 7);
    }),
    check('stores none of many when one of them is not newer, and says which', async (c) => {
      await setsAll(c, [5, 6, 7], ['applied', 'applied', 'applied']);
      await setsAll(c, [6, 6, 6], ['withheld', 'duplicate', 'stale']);
      await hold(c, 5, 6, 7);
    }),
    check('answers what stands to each of many', async (c) => {
      await setsAll(c, [5, 6, 7], ['applied', 'applied', 'applied']);
      const replies = await c.store.setAll(writes([8, 6, 9], OPEN));
      assert.deepEqual(
        replies.map(({ current }) => versionOf(current)),
        [5n, 6n, 7n],
      );
    }),
    check('creates none of many in a synced namespace', async (c) => {
      await c.store.getOrLease(KEYS[0], 't', LEASE_MS);
      await c.store.set({ ...SYNCED, key: KEYS[0], version: at(5), payload: '1', ttlMs: TTL_MS }, 't');
      await setsAll(c, [6, 6], ['withheld', 'absent'], SYNCED);
      await hold(c, 5, undefined, undefined);
      await setsAll(c, [6], ['applied'], SYNCED);
    }),
    check('overtakes a loader by a set of many above its floor', async (c) => {
      await c.store.getOrLease(KEYS[1], 't', LEASE_MS);
      await setsAll(c, [5, 6], ['applied', 'applied']);
      const late = await c.store.set({ ...OPEN, key: KEYS[1], version: at(9), payload: '1', ttlMs: TTL_MS }, 't');
      assert.equal(late.outcome, 'leaseLost');
    }),
    check('passes the tombstones of many only above them', async (c) => {
      await c.store.invalidate(KEYS[1], at(7), OPEN, TTL_MS);
      await setsAll(c, [7, 7], ['withheld', 'duplicate']);
      await setsAll(c, [8, 8], ['applied', 'applied']);
    }),
    check('gives many their next versions', async (c) => {
      const replies = await c.store.setAll(writes([0, 0], OPEN).map((write) => ({ ...write, version: 'next' })));
      assert.deepEqual(
        replies.map(({ outcome }) => outcome),
        ['applied', 'applied'],
      );
      assert.ok(replies.every(({ current }) => (versionOf(current) ?? 0n) > 0n));
    }),
    check('publishes each of many that were stored, and nothing when none was', async (c, subject) => {
      await setsAll(c, [5, 6], ['applied', 'applied']);
      await setsAll(c, [6, 6], ['withheld', 'duplicate']);
      const messages = await subject.published(CHANNEL);
      assert.deepEqual(
        messages.map(({ action, key, version }) => `${action} ${key} ${String(version?.version)}`),
        [`set ${KEYS[0]} 5`, `set ${KEYS[1]} 6`],
      );
    }),
  ];
}
