import { checkOptions } from '@smartpulse/resilience';
import { z } from 'zod';
import { checkCacheKey } from '../namespace/cache-key.js';
import { RecordStore, type RecordReply, type StoredRecord } from '../records/record.store.js';
import { CacheServerFullError } from '../redis-cache.errors.js';
import type { EntryVersion } from '../version/entry-version.js';

const LEAST = 'expected a whole number of at least 1';
const schema = z.strictObject({ maxRecords: z.int(LEAST).min(1, LEAST).default(10_000) });

/** Records in memory: they end with the object. */
export class MemoryRecordStore extends RecordStore {
  readonly durable = false;
  readonly shared = false;
  readonly #records = new Map<string, StoredRecord>();
  readonly #maxRecords: number;

  /**
   * @param options `maxRecords`: one more is refused with CacheServerFullError. Default 10 000.
   * @throws ConfigurationError
   */
  constructor(options: { readonly maxRecords?: number | undefined } = {}) {
    super();
    this.#maxRecords = checkOptions('MemoryRecordStore', schema, options).maxRecords;
  }

  override async get(name: string): Promise<StoredRecord | undefined> {
    checkCacheKey(name);
    return this.#records.get(name);
  }

  override async put(name: string, record: StoredRecord): Promise<RecordReply> {
    checkCacheKey(name);
    const current = this.#records.get(name);
    return this.#write(name, record, current === undefined || record.order.compare(current.order) >= 0);
  }

  override async replace(name: string, expected: EntryVersion | undefined, record: StoredRecord): Promise<RecordReply> {
    checkCacheKey(name);
    const current = this.#records.get(name);
    const met =
      current === undefined || expected === undefined ? current === expected : current.order.compare(expected) === 0;
    return this.#write(name, record, met);
  }

  override async close(): Promise<void> {}

  #write(name: string, { order, text }: StoredRecord, accepted: boolean): RecordReply {
    if (!accepted) {
      return { outcome: 'refused', current: this.#records.get(name) };
    }
    if (!this.#records.has(name) && this.#records.size >= this.#maxRecords) {
      throw new CacheServerFullError('maxRecords');
    }
    const current = { order, text };
    this.#records.set(name, current);
    return { outcome: 'stored', current };
  }
}
