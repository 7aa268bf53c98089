import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import { EntryVersion } from '../version/entry-version.js';
import { CHANNEL, type Check, OPEN, sweepAt, SYNCED, TTL_MS, versionOf, write } from './cache-store.checks.js';

/** What a sweep of a namespace does to every state of a key, and to the namespace as a whole. */
export function sweeps(check: Check): readonly ContractCase[] {
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
