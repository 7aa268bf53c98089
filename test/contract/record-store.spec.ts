import { CacheServerFullError, EntryVersion, openRecordStore } from '@smartpulse/redis-cache';
import { MemoryRecordStore } from '@smartpulse/redis-cache/embedded';
import { recordStoreContract } from '@smartpulse/redis-cache/testing';
import { ConfigurationError } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';

runContract(
  { describe, it },
  'RecordStore: in memory',
  recordStoreContract(
    async () => {
      const store = await openRecordStore({ url: 'memory://' });
      return { store, close: () => store.close() };
    },
    { shared: false },
  ),
);

describe('MemoryRecordStore', () => {
  it('refuses one record more than its bound, and still overwrites those it has', async () => {
    const store = new MemoryRecordStore({ maxRecords: 1 });
    const record = { order: EntryVersion.ZERO, text: '' };
    await store.put('a', record);
    await expect(store.put('b', record)).rejects.toThrow(CacheServerFullError);
    expect((await store.put('a', record)).outcome).toBe('stored');
  });
});

describe('openRecordStore', () => {
  it('refuses at once what it cannot open, and names the option', async () => {
    await expect(openRecordStore({ url: 'http://x' })).rejects.toThrow(ConfigurationError);
    await expect(openRecordStore({ url: 'redis://127.0.0.1:1' })).rejects.toThrow('prefix');
  });
});
