import { checkpointStoreContract } from '@smartpulse/cdc/testing';
import { EntryVersion } from '@smartpulse/redis-cache';
import { MemoryRecordStore } from '@smartpulse/redis-cache/embedded';
import { runContract } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { MalformedCheckpointError } from '../data-sync.errors.js';
import { recordName } from './checkpoint-text.js';
import { RecordCheckpointStore } from './record.checkpoint.store.js';

runContract(
  { describe, it },
  'CheckpointStore: records in memory',
  checkpointStoreContract(() => {
    const records = new MemoryRecordStore();
    return { store: new RecordCheckpointStore(records), close: () => records.close() };
  }),
);

describe('RecordCheckpointStore', () => {
  it.each(['', '{}', '{"format":2}', 'nothing'])('says of the text %j that it is no checkpoint', async (text) => {
    const records = new MemoryRecordStore();
    await records.put(recordName('checkpoint', 'c', 's', 't'), { order: EntryVersion.ZERO, text });
    await expect(new RecordCheckpointStore(records).load({ consumer: 'c', source: 's', table: 't' })).rejects.toThrow(
      MalformedCheckpointError,
    );
  });
});
