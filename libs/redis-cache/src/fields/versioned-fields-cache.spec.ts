import { ConfigurationError } from '@smartpulse/resilience';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defineFieldsCache } from '../namespace/define-fields-cache.js';
import {
  CachePayloadTooLargeError,
  CacheStoreUnavailableError,
  CacheTooManyFieldsError,
  InvalidCacheKeyError,
  InvalidEntryVersionError,
} from '../redis-cache.errors.js';
import { Gate, TestReplicas, type TestRow } from '../testing/test-replicas.js';
import { EntryVersion } from '../version/entry-version.js';
import type { CacheFields, FieldsLoader } from './cache-fields.js';
import type { VersionedFieldsCache } from './versioned-fields-cache.js';

type Cache = VersionedFieldsCache<TestRow>;
const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const row = (text: string): TestRow => ({ text });
const change = (version: number, text: string | undefined = `v${version}`) => ({
  value: text === undefined ? undefined : row(text),
  version: at(version),
});
/** A loader whose table has these rows at a version. */
const table =
  (version: number, ...names: readonly string[]): FieldsLoader<TestRow> =>
  async () => ({ value: Object.fromEntries(names.map((name) => [name, row(`v${version}`)])), version: at(version) });
const texts = (fields: CacheFields<TestRow> | undefined): unknown =>
  fields &&
  Object.fromEntries(
    Object.entries(fields).map(([name, { value, version }]) => [name, `${value.text} ${version.version}`]),
  );
const shown = async (cache: Cache): Promise<unknown> => texts((await cache.get('k'))?.value);

describe('VersionedFieldsCache', () => {
  let replicas: TestReplicas;
  beforeEach(() => {
    replicas = new TestReplicas();
  });
  afterEach(() => replicas.close());

  describe('in a synced namespace', () => {
    it('loads the whole hash once, with its base as the version of every field', async () => {
      const { cache } = await replicas.addFields();
      const hit = await cache.getOrLoad('k', table(5, 'a', 'b'));
      expect(hit).toMatchObject({ version: at(5), level: 'source', stale: false });
      expect(texts(hit.value)).toEqual({ a: 'v5 5', b: 'v5 5' });
      expect((await cache.getOrLoad('k', table(9))).level).toBe('l1');
      expect(texts(cache.peek('k'))).toEqual(texts(hit.value));
    });

    it('stores a change above the base on a present hash, also for a new field, and shows it on every replica', async () => {
      const [{ cache: a }, { cache: b }] = [await replicas.addFields(), await replicas.addFields()];
      await a.getOrLoad('k', table(5, 'x', 'y'));
      await b.get('k');
      expect(await a.setFields('k', { x: change(7), z: change(6), y: change(5) })).toEqual({
        outcome: 'applied',
        fields: { x: 'applied', z: 'applied', y: 'duplicate' },
      });
      await replicas.clock.settle();
      for (const cache of [a, b]) {
        expect(await shown(cache)).toEqual({ x: 'v7 7', y: 'v5 5', z: 'v6 6' });
        expect((await cache.get('k'))?.level).toBe('l1');
      }
    });

    it('shows a change that comes late and is lower than one of another field', async () => {
      const [{ cache: a }, { cache: b }] = [await replicas.addFields(), await replicas.addFields()];
      await a.getOrLoad('k', table(5, 'x', 'y'));
      await a.setFields('k', { x: change(9) });
      await replicas.clock.settle();
      expect(await shown(b)).toEqual({ x: 'v9 9', y: 'v5 5' });
      await a.setFields('k', { y: change(6) });
      await replicas.clock.settle();
      expect(await shown(b)).toEqual({ x: 'v9 9', y: 'v6 6' });
    });

    it('leaves a field tombstone: a replayed older change brings nothing back', async () => {
      const { cache } = await replicas.addFields();
      await cache.getOrLoad('k', table(5, 'x', 'y'));
      expect(await cache.deleteFields('k', ['x'], at(8))).toEqual({ outcome: 'applied', fields: { x: 'applied' } });
      expect(await cache.setFields('k', { x: change(7) })).toEqual({ outcome: 'unchanged', fields: { x: 'stale' } });
      expect(await shown(cache)).toEqual({ y: 'v5 5' });
    });

    it('creates nothing on an absent hash, and raises the floor of a load under way', async () => {
      const { cache } = await replicas.addFields();
      expect(await cache.setFields('k', { x: change(7) })).toEqual({ outcome: 'absent', fields: { x: 'absent' } });
      expect(await cache.get('k')).toBeUndefined();
      const gate = new Gate<void>();
      let loads = 0;
      const loading = cache.getOrLoad('k', async (context) => {
        loads++;
        if (loads === 1) {
          await gate.promise;
        }
        return table(loads === 1 ? 5 : 8, 'x')(context);
      });
      await replicas.clock.settle();
      expect(await cache.setFields('k', { x: change(8) })).toEqual({ outcome: 'deferred', fields: { x: 'deferred' } });
      gate.open();
      expect(texts((await loading).value)).toEqual({ x: 'v8 8' });
      expect(loads).toBe(2);
    });

    it('takes a hash away whose base is below an invalidation, whatever its fields have reached', async () => {
      const { cache } = await replicas.addFields();
      await cache.getOrLoad('k', table(5, 'x'));
      await cache.setFields('k', { x: change(9) });
      expect(await cache.invalidate('k', at(5))).toBe('duplicate');
      expect(await cache.invalidate('k', at(6))).toBe('applied');
      expect(await cache.get('k')).toBeUndefined();
      expect((await cache.getOrLoad('k', table(9, 'x'))).level).toBe('source');
    });

    it('refuses a base with a minor part, lives of fields, and values that are too many or too large', async () => {
      const { cache } = await replicas.addFields({ maxFields: 2, maxPayloadBytes: 200 });
      const minor = new EntryVersion(1n, 5n, 1n);
      await expect(cache.getOrLoad('k', async () => ({ value: {}, version: minor }))).rejects.toThrow(
        InvalidEntryVersionError,
      );
      await expect(cache.invalidate('k', minor)).rejects.toThrow(InvalidEntryVersionError);
      await cache.getOrLoad('k', table(5, 'x'));
      await expect(cache.setFields('k', { x: { ...change(6), ttlMs: 5 } })).rejects.toThrow(ConfigurationError);
      await expect(cache.setFields('k', { y: change(6), z: change(6) })).rejects.toThrow(CacheTooManyFieldsError);
      await expect(cache.setFields('k', { x: change(6, 'x'.repeat(300)) })).rejects.toThrow(CachePayloadTooLargeError);
      await expect(cache.setFields('k', { '': change(6) })).rejects.toThrow(InvalidCacheKeyError);
      await expect(cache.getFields('other', ['x'.repeat(600)])).rejects.toThrow(InvalidCacheKeyError);
      expect(await shown(cache)).toEqual({ x: 'v5 5' });
      expect(() => defineFieldsCache({ name: 'f', synced: true, fieldTtlMs: 5 })).toThrow('fieldTtlMs');
      expect(() => defineFieldsCache({ name: 'f', synced: true, maxFields: 0 })).toThrow('maxFields');
    });

    it('answers a hash of too many fields, and does not store it', async () => {
      const { cache } = await replicas.addFields({ maxFields: 2 });
      const hit = await cache.getOrLoad('k', table(5, 'x', 'y', 'z'));
      expect(Object.keys(hit.value ?? {})).toEqual(['x', 'y', 'z']);
      expect(await cache.get('k')).toBeUndefined();
      expect(cache.whole.stats().oversized).toBe(1);
    });

    it('remembers that the source has no such thing, until a change brings a field', async () => {
      const { cache } = await replicas.addFields();
      expect(await cache.getOrLoad('k', async () => ({ value: undefined, version: at(5) }))).toMatchObject({
        value: undefined,
      });
      expect((await cache.getFields('k', ['x']))?.fields).toEqual({});
      await cache.setFields('k', { x: change(6) });
      expect(await shown(cache)).toEqual({ x: 'v6 6' });
    });
  });

  describe('getFields', () => {
    it('reads some fields of one moment, with the lowest and the highest of their versions', async () => {
      const { cache } = await replicas.addFields({ l1TtlMs: 1_000 });
      await cache.getOrLoad('k', table(5, 'x', 'y', 'z'));
      await cache.setFields('k', { x: change(7) });
      const hit = await cache.getFields('k', ['x', 'y', 'never']);
      expect(hit).toMatchObject({
        level: 'l2',
        stale: false,
        min: at(5),
        max: at(7),
        version: new EntryVersion(1n, 5n, 1n),
      });
      expect(texts(hit?.fields)).toEqual({ x: 'v7 7', y: 'v5 5' });
      await cache.get('k');
      expect(await cache.getFields('k', ['x', 'y', 'never'])).toEqual({ ...hit, level: 'l1' });
      expect(await cache.getFields('k', ['never'])).toMatchObject({ fields: {}, min: undefined, max: undefined });
    });

    it('makes what it shows act like a message: a read that began before fills nothing older', async () => {
      const [{ cache: a }, { cache: b }] = [await replicas.addFields(), await replicas.addFields()];
      await a.getOrLoad('k', table(5, 'x'));
      await b.get('k');
      await a.setFields('k', { x: change(6) });
      expect(texts((await a.getFields('k', ['x']))?.fields)).toEqual({ x: 'v6 6' });
      expect(await shown(a)).toEqual({ x: 'v6 6' });
    });

    it('rejects while the store fails', async () => {
      const { cache } = await replicas.addFields();
      await cache.getOrLoad('k', table(5, 'x'));
      replicas.server.close();
      await expect(cache.getFields('other', ['x'])).rejects.toThrow(CacheStoreUnavailableError);
      await expect(cache.setFields('k', { x: change(6) })).rejects.toThrow(CacheStoreUnavailableError);
      expect(cache.whole.storeFailing).toBe(true);
    });
  });

  it('writes all or nothing when asked to, and says of each field why', async () => {
    const { cache } = await replicas.addFields();
    await cache.getOrLoad('k', table(5, 'x', 'y'));
    const fields = { x: change(7), y: change(4) };
    expect(await cache.setFields('k', fields, { atomic: true })).toEqual({
      outcome: 'unchanged',
      fields: { x: 'held', y: 'stale' },
    });
    expect(await shown(cache)).toEqual({ x: 'v5 5', y: 'v5 5' });
    expect(await cache.setFields('k', fields)).toMatchObject({ fields: { x: 'applied', y: 'stale' } });
  });

  describe('in a namespace that no sync feeds', () => {
    it('creates, keeps what is newest of each field, and never loads: nothing says that a hash is complete', async () => {
      const { cache } = await replicas.addFields({ synced: false });
      expect(await cache.setFields('k', { x: change(3), y: change(2) })).toMatchObject({ outcome: 'applied' });
      await cache.setFields('k', { x: change(2), y: change(3) });
      expect(await shown(cache)).toEqual({ x: 'v3 3', y: 'v3 3' });
      await expect(cache.getOrLoad('k', table(9))).rejects.toThrow('none is known to be complete');
      expect(await cache.setFields('k', {})).toEqual({ outcome: 'unchanged', fields: {} });
    });

    it('drops fields up to an invalidation on every replica, and keeps those above', async () => {
      const [{ cache: a }, { cache: b }] = [
        await replicas.addFields({ synced: false }),
        await replicas.addFields({ synced: false }),
      ];
      await a.setFields('k', { x: change(3), y: change(7) });
      await replicas.clock.settle();
      expect(await shown(b)).toEqual({ x: 'v3 3', y: 'v7 7' });
      await a.invalidate('k', at(5));
      await replicas.clock.settle();
      expect(await shown(b)).toEqual({ y: 'v7 7' });
      expect(await b.setFields('k', { x: change(4) })).toMatchObject({ fields: { x: 'stale' } });
    });

    it('shows nothing of a hash that was lost once another one was created in its place', async () => {
      const [{ cache: a }, { cache: b }] = [
        await replicas.addFields({ synced: false }),
        await replicas.addFields({ synced: false }),
      ];
      await a.setFields('k', { x: change(3) });
      await a.setFields('k', { x: change(4) });
      await replicas.clock.settle();
      await b.get('k');
      replicas.server.expire('{test:hashes:k}:f');
      await a.setFields('k', { x: change(2, 'anew') });
      await replicas.clock.settle();
      expect([await shown(a), await shown(b)]).toEqual([{ x: 'anew 2' }, { x: 'anew 2' }]);
    });

    it('ends a field with its own life on both levels, and leaves the others', async () => {
      const { cache } = await replicas.addFields({ synced: false, fieldTtlMs: 5_000 });
      await cache.setFields('k', { x: change(3), y: { ...change(3), ttlMs: 60_000 } });
      expect(await shown(cache)).toEqual({ x: 'v3 3', y: 'v3 3' });
      await replicas.clock.advance(5_001);
      expect(await shown(cache)).toEqual({ y: 'v3 3' });
      expect((await cache.getFields('k', ['x']))?.fields).toEqual({});
    });
  });
});
