import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { RecordStore } from '../records/record.store.js';
import { EntryVersion } from '../version/entry-version.js';

/** A fresh, empty store. */
export interface RecordStoreSubject {
  readonly store: RecordStore;
  /** The same records as another process finds them. Left out: nobody else sees them. */
  readonly reopen?: (() => Promise<RecordStore>) | undefined;
  close(): Promise<void>;
}

/** What every {@link RecordStore} guarantees, as data. */
export function recordStoreContract(
  create: () => RecordStoreSubject | Promise<RecordStoreSubject>,
  capabilities: { readonly shared: boolean },
): readonly ContractCase[] {
  const check = (title: string, body: (subject: RecordStoreSubject) => Promise<void>, skip?: string): ContractCase => ({
    title,
    ...(skip === undefined ? {} : { skip }),
    run: async () => {
      const subject = await create();
      try {
        await body(subject);
      } finally {
        await subject.close();
      }
    },
  });
  const at = (version: bigint, epoch = 1n): EntryVersion => new EntryVersion(epoch, version);

  return [
    check('has nothing under a name that was never stored', async ({ store }) => {
      assert.equal(await store.get('a'), undefined);
    }),
    check('answers what was stored last, whatever the text', async ({ store }) => {
      for (const text of ['', 'x', '{"a":"\\""}\n', '\u{1F32C}\u{FE0F}\u0000 %s', 'y'.repeat(100_000)]) {
        const record = { order: at(1n), text };
        assert.deepEqual(await store.put('a', record), { outcome: 'stored', current: record });
        assert.deepEqual(await store.get('a'), record);
      }
    }),
    check('keeps names apart, also those that look alike', async ({ store }) => {
      const names = ['a', 'A', 'a:b', 'a/b', 'a%2Fb', 'a.b', '"a"', '\u00e4', 'a\u0308'];
      for (const name of names) {
        await store.put(name, { order: at(1n), text: name });
      }
      for (const name of names) {
        assert.equal((await store.get(name))?.text, name);
      }
    }),
    check('refuses a lower order and changes nothing; takes an equal and a higher one', async ({ store }) => {
      const newer = { order: at(5n), text: 'newer' };
      await store.put('a', newer);
      for (const order of [at(4n), at(9n, 0n)]) {
        assert.deepEqual(await store.put('a', { order, text: 'older' }), { outcome: 'refused', current: newer });
      }
      assert.deepEqual(await store.get('a'), newer);
      assert.equal((await store.put('a', { order: at(5n), text: 'again' })).outcome, 'stored');
      assert.equal((await store.put('a', { order: at(1n, 2n), text: 'epoch' })).outcome, 'stored');
      assert.equal((await store.get('a'))?.text, 'epoch');
    }),
    check('compares orders above 2^53', async ({ store }) => {
      const high = 9_007_199_254_740_993n;
      await store.put('a', { order: at(high), text: 'high' });
      assert.equal((await store.put('a', { order: at(high - 1n), text: 'lower' })).outcome, 'refused');
      assert.equal((await store.replace('a', at(high + 1n), { order: at(high), text: 'no' })).outcome, 'refused');
      assert.equal((await store.get('a'))?.text, 'high');
    }),
    check('replaces only what has the expected order, to a lower one too', async ({ store }) => {
      const first = { order: at(5n), text: 'first' };
      const second = { order: at(3n), text: 'second' };
      assert.deepEqual(await store.replace('a', at(5n), first), { outcome: 'refused', current: undefined });
      assert.deepEqual(await store.replace('a', undefined, first), { outcome: 'stored', current: first });
      assert.deepEqual(await store.replace('a', undefined, second), { outcome: 'refused', current: first });
      assert.deepEqual(await store.replace('a', at(4n), second), { outcome: 'refused', current: first });
      assert.deepEqual(await store.replace('a', at(5n), second), { outcome: 'stored', current: second });
      assert.deepEqual(await store.get('a'), second);
    }),
    check('lets one of many that replace at once win, and tells the others what stands', async ({ store }) => {
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          store.replace('a', undefined, { order: at(BigInt(index)), text: `${index}` }),
        ),
      );
      const winners = replies.filter(({ outcome }) => outcome === 'stored');
      assert.equal(winners.length, 1);
      const stands = await store.get('a');
      replies.forEach(({ current }) => assert.deepEqual(current, stands));
    }),
    check('keeps the highest of many that put at once', async ({ store }) => {
      const orders = [3n, 7n, 1n, 9n, 2n, 8n];
      await Promise.all(orders.map((order) => store.put('a', { order: at(order), text: `${order}` })));
      assert.equal((await store.get('a'))?.text, '9');
    }),
    check('refuses a name that is none', async ({ store }) => {
      await assert.rejects(store.get('a b'), { code: 'SMARTPULSE_CACHE_KEY_INVALID' });
      await assert.rejects(store.put('', { order: at(1n), text: '' }), { code: 'SMARTPULSE_CACHE_KEY_INVALID' });
    }),
    check(
      'shows another process what was stored, and fences it',
      async ({ store, reopen }) => {
        assert.ok(reopen);
        assert.ok(store.shared && store.durable);
        await store.put('a', { order: at(5n), text: 'kept' });
        const other = await reopen();
        assert.equal((await other.get('a'))?.text, 'kept');
        assert.equal((await other.put('a', { order: at(4n), text: 'older' })).outcome, 'refused');
      },
      capabilities.shared ? undefined : 'nobody else sees them',
    ),
  ];
}
