import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { InvalidationMessage } from '../invalidation/invalidation.bus.js';
import type { CacheStore, StoredEntry, StoreOrigin, StoreWrite, SweepRequest } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';

/** A fresh, empty store under test. */
export interface CacheStoreSubject {
  readonly store: CacheStore;
  /** Messages that were published on a channel, in order, once they have all arrived. */
  published(channel: string): Promise<readonly InvalidationMessage[]>;
  /** Lets `ms` milliseconds pass for the store. */
  elapse(ms: number): Promise<void>;
  close(): Promise<void>;
}

const CHANNEL = 'test:contract:!inv';
const KEY = '{test:contract:k}:v';
const LEASE_MS = 1_000;
const TTL_MS = 60_000;
const SYNCED: StoreOrigin = { channel: CHANNEL, source: 'a', synced: true };
const OPEN: StoreOrigin = { channel: CHANNEL, source: 'a', synced: false };

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const write = (version: number, origin = SYNCED): StoreWrite & { payload: string } => ({
  ...origin,
  key: KEY,
  version: at(version),
  payload: `"${version}"`,
  ttlMs: TTL_MS,
});
const sweepAt = (version: number, origin = SYNCED, limit = 1_000): SweepRequest => ({
  ...origin,
  keys: { before: '{test:contract:', after: '}:v' },
  version: at(version),
  limit,
  tombstoneTtlMs: TTL_MS,
});
const versionOf = (entry: StoredEntry | undefined): bigint | undefined =>
  entry === undefined ? undefined : (entry.kind === 'lease' ? entry.floor : entry.version).version;

class Checks {
  constructor(private readonly subject: CacheStoreSubject) {}

  get store(): CacheStore {
    return this.subject.store;
  }

  async lease(token = 't', floor = 0): Promise<void> {
    const reply = await this.store.getOrLease(KEY, token, LEASE_MS);
    assert.equal(reply.kind, 'leased');
    assert.equal(reply.kind === 'leased' ? reply.floor.version : undefined, BigInt(floor));
  }

  /** The way in which a synced value comes to be. */
  async loaded(version: number): Promise<void> {
    await this.lease();
    await this.sets(version, 'applied', 't');
  }

  async sets(version: number, outcome: string, token?: string, origin = SYNCED): Promise<void> {
    assert.equal((await this.store.set(write(version, origin), token)).outcome, outcome);
  }

  async refreshes(version: number, outcome: string, origin = SYNCED): Promise<void> {
    assert.equal((await this.store.refresh(write(version, origin))).outcome, outcome);
  }

  async invalidates(version: number, outcome: string, origin = SYNCED): Promise<void> {
    assert.equal((await this.store.invalidate(KEY, at(version), origin, TTL_MS)).outcome, outcome);
  }

  async holds(kind: StoredEntry['kind'] | 'absent', version?: number): Promise<void> {
    const entry = await this.store.get(KEY);
    assert.equal(entry?.kind ?? 'absent', kind);
    assert.equal(versionOf(entry), version === undefined ? undefined : BigInt(version));
  }

  /** Goes on until the sweep has ended; answers what was removed and in how many calls. */
  async sweeps(request: SweepRequest, between?: () => Promise<void>): Promise<{ swept: number; calls: number }> {
    let swept = 0;
    let cursor: string | undefined;
    for (let calls = 1; ; calls++) {
      const reply = await this.store.sweep(request, cursor);
      swept += reply.swept;
      if (reply.cursor === null) {
        return { swept, calls };
      }
      cursor = reply.cursor;
      await between?.();
    }
  }

  async published(...expected: readonly string[]): Promise<void> {
    const messages = await this.subject.published(CHANNEL);
    assert.deepEqual(
      messages.map(({ action, version }) => `${action} ${version === null ? 'null' : version.version}`),
      expected,
    );
    for (const message of messages) {
      assert.equal(message.key, message.action === 'flush' ? '' : KEY);
      assert.equal(message.source, 'a');
    }
  }
}

/**
 * What every {@link CacheStore} guarantees, as data.
 *
 * @param create makes a fresh, empty store for each case.
 * @example
 * ```ts
 * runContract({ describe, it }, 'CacheStore: mine', cacheStoreContract(() => mySubject()));
 * ```
 */
export function cacheStoreContract(
  create: () => CacheStoreSubject | Promise<CacheStoreSubject>,
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
  ];
}

type Check = (title: string, body: (checks: Checks, subject: CacheStoreSubject) => Promise<void>) => ContractCase;

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

function sweeps(check: Check): readonly ContractCase[] {
  return [
    check(
      'sweeps a value and a negative entry stamped at or below the version, and leaves what is above',
      async (c) => {
        await c.loaded(5);
        assert.equal((await c.sweeps(sweepAt(4))).swept, 0);
        await c.holds('value', 5);
        assert.equal((await c.sweeps(sweepAt(5))).swept, 1);
        await c.holds('absent');
        await c.lease();
        assert.equal((await c.store.set({ ...write(6), payload: null }, 't')).outcome, 'applied');
        assert.equal((await c.sweeps(sweepAt(6))).swept, 1);
        await c.holds('absent');
      },
    ),
    check('sweeps by epoch before version', async (c) => {
      await c.loaded(5);
      assert.equal((await c.sweeps({ ...sweepAt(0), version: new EntryVersion(0n, 99n) })).swept, 0);
      assert.equal((await c.sweeps({ ...sweepAt(0), version: new EntryVersion(2n, 0n) })).swept, 1);
      await c.holds('absent');
    }),
    check('kills a lease when it sweeps, whatever its floor, and leaves none: the version need not move', async (c) => {
      await c.lease('t');
      await c.invalidates(9, 'deferred');
      assert.equal((await c.sweeps(sweepAt(5))).swept, 1);
      await c.sets(9, 'leaseLost', 't');
      await c.holds('absent');
      await c.lease('u', 0);
      await c.sets(5, 'applied', 'u');
    }),
    check('kills a lease that is free, too', async (c) => {
      await c.lease('t');
      await c.invalidates(3, 'deferred');
      await c.sets(2, 'stale', 't');
      await c.sweeps(sweepAt(5));
      await c.lease('u', 0);
    }),
    check('publishes one flush when the sweep ends, also when nothing was found', async (c) => {
      await c.sweeps(sweepAt(5));
      await c.published('flush null');
    }),
    check('publishes the flush after the last key, not before', async (c, subject) => {
      await c.loaded(5);
      const heard: number[] = [];
      const { calls } = await c.sweeps(sweepAt(5, SYNCED, 1), async () => {
        heard.push((await subject.published(CHANNEL)).length);
      });
      assert.equal(calls, heard.length + 1);
      assert.ok(
        heard.every((messages) => messages === 1),
        'a message came before the sweep had ended',
      );
      await c.published('set 5', 'flush null');
    }),
    check('leaves the keys of other namespaces alone', async (c) => {
      const others = ['{test:other:k}:v', '{test:contract-2:k}:v', '{test:contract:k}:f'];
      for (const key of others) {
        await c.store.set({ ...write(5, OPEN), key });
      }
      await c.sweeps(sweepAt(9));
      for (const entry of await c.store.getMany(others)) {
        assert.equal(versionOf(entry), 5n);
      }
    }),
    check(
      'meets every key that was there all the time, whatever is written, read and removed between its steps',
      async (c) => {
        const key = (index: number): string => `{test:contract:k${index}}:v`;
        const put = async (index: number, version: number): Promise<void> => {
          await c.store.set({ ...write(version, OPEN), key: key(index) });
        };
        const keys = Array.from({ length: 300 }, (_, index) => index);
        for (const index of keys) {
          await put(index, 3);
        }
        let step = 0;
        const { swept, calls } = await c.sweeps(sweepAt(5, SYNCED, 10), async () => {
          step++;
          await put(step % 150, 4);
          await c.store.get(key((step * 7) % 300));
          await c.store.evict(key(299 - (step % 30)), OPEN);
          await put(1_000 + step, 9);
        });
        assert.ok(calls > 3, 'the sweep has steps');
        assert.ok(swept >= 270, `it swept ${swept}`);
        for (const [index, entry] of (await c.store.getMany(keys.slice(150).map(key))).entries()) {
          assert.equal(entry, undefined, `key ${index + 150} was passed by`);
        }
        assert.equal(versionOf(await c.store.get(key(1_001))), 9n);
      },
    ),
    check('leaves a tombstone of the version where no sync feeds the namespace', async (c, subject) => {
      await c.sets(3, 'applied', undefined, OPEN);
      assert.equal((await c.sweeps(sweepAt(5, OPEN))).swept, 1);
      await c.holds('tombstone', 5);
      await c.sets(5, 'duplicate', undefined, OPEN);
      assert.equal((await c.sweeps(sweepAt(7, OPEN))).swept, 0);
      await c.holds('tombstone', 5);
      await subject.elapse(TTL_MS + 1);
      await c.holds('absent');
      await c.lease('t');
      await c.invalidates(9, 'deferred', OPEN);
      await c.sweeps(sweepAt(7, OPEN));
      await c.holds('tombstone', 9);
      await c.sets(9, 'leaseLost', 't', OPEN);
    }),
  ];
}
