import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import { EntryVersion } from '../version/entry-version.js';
import { CHANNEL, KEY, LEASE_MS, sweepAll, sweepAt, TTL_MS } from './cache-store.checks.js';
import { cacheStoreContract } from './cache-store.contract.js';
import { FieldsChecks, type FieldsStoreSubject, OneFieldHashes, OPEN, SYNCED } from './fields-store.checks.js';

/** Life of a field, short enough to be waited for: the clock that judges it is the server's. */
const FIELD_MS = 500;

type Check = (
  title: string,
  body: (checks: FieldsChecks, subject: FieldsStoreSubject) => Promise<void>,
) => ContractCase;

/**
 * What every {@link FieldsStore} guarantees, as data: what a `CacheStore` does for the whole hash, and what is said of its fields.
 *
 * @param create makes a fresh, empty store for each case.
 */
export function fieldsStoreContract(
  create: () => FieldsStoreSubject | Promise<FieldsStoreSubject>,
): readonly ContractCase[] {
  const check: Check = (title, body) => ({
    title,
    run: async () => {
      const subject = await create();
      try {
        await body(new FieldsChecks(subject), subject);
      } finally {
        await subject.close();
      }
    },
  });
  const whole = cacheStoreContract(async () => {
    const subject = await create();
    return { ...subject, store: new OneFieldHashes(subject.store.hashes) };
  }, 'hashes');
  return [
    ...whole.map((one) => ({ ...one, title: `as a whole: ${one.title}` })),
    ...changes(check),
    ...stamps(check),
    ...allOrNothing(check),
    ...openNamespaces(check),
    ...bounds(check),
  ];
}

function changes(check: Check): readonly ContractCase[] {
  return [
    check('compares each field with its own version, or with the base where it has none', async (c) => {
      await c.loaded(5, ['a', 'b']);
      await c.sets({ a: 7, b: 5, c: 4, d: 6 }, 'applied', ['applied', 'duplicate', 'stale', 'applied']);
      await c.sets({ a: 6, b: 6, d: 6 }, 'applied', ['stale', 'applied', 'duplicate']);
      await c.shows('5.2', { a: 7, b: 6, d: 6 });
    }),
    check('stores a change above the base also when it comes late, and for a field that is new', async (c) => {
      await c.loaded(5, ['a']);
      await c.sets({ a: 9 }, 'applied', ['applied']);
      await c.sets({ b: 6 }, 'applied', ['applied']);
      await c.shows('5.2', { a: 9, b: 6 });
    }),
    check('leaves a tombstone of a deleted field: a late change below it brings nothing back', async (c) => {
      await c.loaded(5, ['a', 'b']);
      await c.sets({ a: { deletedAt: 7 }, c: { deletedAt: 8 } }, 'applied', ['applied', 'applied']);
      await c.shows('5.1', { b: 5 });
      await c.sets({ a: 6, c: 8 }, 'unchanged', ['stale', 'duplicate']);
      await c.sets({ a: 8 }, 'applied', ['applied']);
      await c.shows('5.2', { a: 8, b: 5 });
    }),
    check('creates nothing by a change of fields in a synced namespace', async (c) => {
      const reply = await c.sets({ a: 7, b: 9 }, 'absent');
      assert.equal(reply.version?.version, 9n);
      await c.holds('absent');
      await c.published('refresh 9');
    }),
    check('raises the floor of a lease by a change of fields, to the highest of them', async (c) => {
      await c.leases('t');
      await c.sets({ a: 7, b: 9 }, 'deferred');
      await c.sets({ a: 8 }, 'deferred');
      await c.holds('lease', 9);
      await c.puts(8, ['a'], 'stale', 't');
    }),
    check('adds fields to a hash that was loaded as "no such thing"', async (c) => {
      await c.leases('t');
      const write = { ...SYNCED, key: KEY, version: new EntryVersion(1n, 5n), payload: null, ttlMs: TTL_MS };
      assert.equal((await c.store.hashes.set(write, 't')).outcome, 'applied');
      await c.sets({ a: 5 }, 'unchanged', ['duplicate']);
      await c.holds('negative', 5);
      await c.sets({ a: 6 }, 'applied', ['applied']);
      await c.shows('5.1', { a: 6 });
    }),
    check(
      'gives a synced hash no longer life by a change of fields: what it was loaded with may miss others',
      async (c, subject) => {
        await c.loaded(5, ['a']);
        await subject.elapse(TTL_MS / 2);
        await c.sets({ a: 6 }, 'applied', ['applied'], { ...SYNCED, ttlMs: TTL_MS * 10 });
        await subject.elapse(TTL_MS / 2 + 1_000);
        await c.holds('absent');
      },
    ),
    check('keeps names and payloads as they are, whatever is in them', async (c) => {
      const names = ['__proto__', 'constructor', '7', '07', 'a b\n', 'ğ€😀', '1 2 ', 'x'.repeat(300)];
      await c.loaded(5, names);
      await c.sets(
        Object.fromEntries(names.map((name) => [name === '__proto__' ? 'toString' : name, 6])),
        'applied',
        names.map(() => 'applied'),
      );
      const some = await c.store.getFields(KEY, names);
      assert.deepEqual(
        some?.kind === 'fields' ? some.fields.map((field) => field?.payload) : undefined,
        names.map((name) => (name === '__proto__' ? `${name}5` : `${name}6`)),
      );
      await c.puts(9, names, 'applied');
      const [entry] = await c.store.hashes.getMany([KEY]);
      assert.ok(entry?.kind === 'value' && entry.payload.includes('__proto__'));
    }),
    check('orders fields by epoch before version, and beyond what a double can tell apart', async (c) => {
      const big = 9_007_199_254_740_992n;
      await c.loaded(5, ['a']);
      const set = async (epoch: bigint, version: bigint): Promise<unknown> => {
        const fields = [{ name: 'a', version: new EntryVersion(epoch, version), payload: 'x' }];
        const reply = await c.store.setFields({
          ...SYNCED,
          key: KEY,
          fields,
          atomic: false,
          maxFields: 9,
          ttlMs: TTL_MS,
          tombstoneTtlMs: TTL_MS,
        });
        return reply.fields[0];
      };
      assert.deepEqual(
        [await set(1n, big), await set(1n, big + 1n), await set(1n, big), await set(2n, 1n), await set(1n, big + 9n)],
        ['applied', 'applied', 'stale', 'applied', 'stale'],
      );
    }),
  ];
}

function stamps(check: Check): readonly ContractCase[] {
  return [
    check('counts each step that wrote something in the stamp of the whole, and publishes it', async (c) => {
      await c.loaded(5, ['a', 'b']);
      const first = await c.sets({ a: 9, b: 8 }, 'applied', ['applied', 'applied']);
      assert.equal(first.version?.minor, 1n);
      const none = await c.sets({ a: 9, b: 7 }, 'unchanged', ['duplicate', 'stale']);
      assert.equal(none.version?.minor, 1n);
      await c.sets({ b: 9 }, 'applied', ['applied']);
      await c.published('set 5', 'refresh 5.1', 'refresh 5.2');
    }),
    check('compares floors, invalidations and sweeps with the base, whatever its fields have reached', async (c) => {
      await c.loaded(5, ['a']);
      await c.sets({ a: 9 }, 'applied', ['applied']);
      await c.invalidates(5, 'duplicate');
      await c.invalidates(4, 'stale');
      await c.shows('5.1', { a: 9 });
      await c.invalidates(6, 'applied');
      await c.holds('absent');
      await c.loaded(7, ['a']);
      await c.sets({ a: 9 }, 'applied', ['applied']);
      assert.equal((await sweepAll(c.store.hashes, sweepAt(6))).swept, 0);
      assert.equal((await sweepAll(c.store.hashes, sweepAt(7))).swept, 1);
      await c.holds('absent');
    }),
    check('leaves fields above the new base when a whole hash replaces another one', async (c) => {
      await c.loaded(5, ['a', 'b', 'c', 'd']);
      await c.sets({ a: 9, b: 6, c: { deletedAt: 8 }, d: 7 }, 'applied', ['applied', 'applied', 'applied', 'applied']);
      await c.puts(7, ['a', 'b', 'c'], 'applied');
      await c.shows('7.1', { a: 9, b: 7 });
      await c.sets({ c: 8, d: 8 }, 'applied', ['duplicate', 'applied']);
      await c.shows('7.2', { a: 9, b: 7, d: 8 });
    }),
    check('answers a refused loader what stands, with its stamp', async (c) => {
      await c.loaded(5, ['a']);
      await c.sets({ a: 6 }, 'applied', ['applied']);
      const reply = await c.store.hashes.getOrLease(KEY, 'u', LEASE_MS);
      assert.ok(reply.kind === 'hit');
      assert.deepEqual([reply.entry.version.version, reply.entry.version.minor], [5n, 1n]);
    }),
    check('leaves nothing of a hash when it is evicted', async (c) => {
      await c.loaded(5, ['a']);
      await c.sets({ a: { deletedAt: 9 } }, 'applied', ['applied']);
      await c.store.hashes.evict(KEY, SYNCED);
      await c.loaded(6, ['a']);
      await c.shows('6', { a: 6 });
    }),
  ];
}

function allOrNothing(check: Check): readonly ContractCase[] {
  return [
    check('writes all or nothing when asked to, and says of each field why', async (c) => {
      const atomic = { ...SYNCED, atomic: true };
      await c.loaded(5, ['a', 'b']);
      await c.sets({ a: 7, b: 5, c: 4 }, 'unchanged', ['held', 'duplicate', 'stale'], atomic);
      await c.shows('5', { a: 5, b: 5 });
      await c.sets({ a: 7, b: 6 }, 'applied', ['applied', 'applied'], atomic);
      await c.shows('5.1', { a: 7, b: 6 });
      await c.published('set 5', 'refresh 5.1');
    }),
  ];
}

function openNamespaces(check: Check): readonly ContractCase[] {
  return [
    check('creates where no sync feeds the namespace, and has everything from before dropped', async (c) => {
      await c.sets({ a: 3, b: { deletedAt: 4 } }, 'created', ['applied', 'applied'], OPEN);
      await c.shows('0.1', { a: 3 });
      await c.sets({ a: 4, b: 4 }, 'applied', ['applied', 'duplicate'], OPEN);
      await c.published('evict null', 'refresh 0.2');
    }),
    check('drops fields up to the version where no sync feeds the namespace, and keeps those above', async (c) => {
      await c.sets({ a: 3, b: 7, c: { deletedAt: 8 } }, 'created', ['applied', 'applied', 'applied'], OPEN);
      await c.invalidates(5, 'applied', OPEN);
      await c.shows('5.1', { b: 7 });
      await c.sets({ a: 5, c: 7, d: 6 }, 'applied', ['duplicate', 'stale', 'applied'], OPEN);
      await c.invalidates(9, 'applied', OPEN);
      await c.holds('tombstone', 9);
      await c.sets({ a: 9 }, 'unchanged', ['duplicate'], OPEN);
      await c.sets({ a: 10 }, 'created', ['applied'], OPEN);
      await c.shows('9.1', { a: 10 });
      // A walk may meet what stays twice.
      assert.ok((await sweepAll(c.store.hashes, sweepAt(9, OPEN))).swept >= 1);
      await c.shows(undefined, { a: 10 });
    }),
    check(
      'gives the hash the longest life that was asked for, where no sync feeds the namespace',
      async (c, subject) => {
        await c.sets({ a: 1 }, 'created', ['applied'], { ...OPEN, ttlMs: TTL_MS });
        await subject.elapse(TTL_MS / 2);
        await c.sets({ b: 1 }, 'applied', ['applied'], { ...OPEN, ttlMs: TTL_MS / 10 });
        await subject.elapse(TTL_MS / 4);
        await c.shows('0.2', { a: 1, b: 1 });
        await c.sets({ b: 2 }, 'applied', ['applied'], { ...OPEN, ttlMs: TTL_MS });
        await subject.elapse(TTL_MS / 2);
        await c.shows('0.3', { a: 1, b: 2 });
        await subject.elapse(TTL_MS);
        await c.holds('absent');
      },
    ),
    check('has no part of a hash left when its life is over', async (c, subject) => {
      await c.sets({ a: 1 }, 'created', ['applied'], OPEN);
      await subject.elapse(TTL_MS + 1);
      await c.sets({ b: 1 }, 'created', ['applied'], OPEN);
      await c.shows('0.1', { b: 1 });
    }),
  ];
}

function bounds(check: Check): readonly ContractCase[] {
  return [
    check('refuses a hash of more fields than it may have, tombstones among them, and writes nothing', async (c) => {
      const few = { ...SYNCED, maxFields: 3 };
      await c.loaded(5, ['a', 'b']);
      await c.sets({ c: 6, d: 6 }, 'full', [], few);
      await c.shows('5', { a: 5, b: 5 });
      await c.sets({ a: 7, c: { deletedAt: 6 } }, 'applied', ['applied', 'applied'], few);
      await c.sets({ d: 8 }, 'full', [], few);
      await c.sets({ c: 8 }, 'applied', ['applied'], few);
      await c.shows('5.2', { a: 7, b: 5, c: 8 });
    }),
    check(
      'ends a field with its own life, by the clock of the store: it counts as never written',
      async (c, subject) => {
        await c.sets({ a: { version: 5, ttlMs: FIELD_MS }, b: 5 }, 'created', ['applied', 'applied'], OPEN);
        const whole = await c.store.hashes.get(KEY);
        assert.ok(whole !== undefined && whole.ttlMs <= FIELD_MS, 'what is shown lives no longer than its first field');
        await subject.elapse(FIELD_MS * 1.2);
        await c.shows('0.1', { b: 5 });
        await c.sets({ a: 3 }, 'applied', ['applied'], OPEN);
        await subject.elapse(FIELD_MS * 1.2);
        await c.shows('0.2', { a: 3, b: 5 });
      },
    ),
    check('ends the tombstone of a field where no sync feeds the namespace', async (c, subject) => {
      const brief = { ...OPEN, tombstoneTtlMs: FIELD_MS };
      await c.sets({ a: { deletedAt: 5 }, b: 5 }, 'created', ['applied', 'applied'], brief);
      await c.sets({ a: 4 }, 'unchanged', ['stale'], brief);
      await subject.elapse(FIELD_MS * 1.2);
      await c.sets({ a: 4 }, 'applied', ['applied'], brief);
    }),
    check('makes room of fields whose life is over before it says that there is none', async (c, subject) => {
      const few = { ...OPEN, maxFields: 2 };
      await c.sets({ a: { version: 5, ttlMs: FIELD_MS }, b: 5 }, 'created', ['applied', 'applied'], few);
      await c.sets({ c: 5 }, 'full', [], few);
      await subject.elapse(FIELD_MS * 1.2);
      await c.sets({ c: 5 }, 'applied', ['applied'], few);
      await c.shows('0.2', { b: 5, c: 5 });
    }),
    check('publishes nothing of what it did not write', async (c, subject) => {
      await c.loaded(5, ['a']);
      await c.sets({ a: 4 }, 'unchanged', ['stale']);
      await c.sets({ b: 6 }, 'full', [], { ...SYNCED, maxFields: 1 });
      assert.equal((await subject.published(CHANNEL)).length, 1);
    }),
  ];
}
