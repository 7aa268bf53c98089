import type { CacheStore } from '../../store/cache.store.js';
import { FieldsStore, type FieldsWrite, type SetFieldsReply, type StoredFields } from '../../store/fields.store.js';
import type { EmbeddedCacheServer } from '../embedded-cache.server.js';
import { MemoryCacheStore } from '../memory.store.js';

/** Hashes in memory: as durable as the process, shared by those that hold the same server. */
export class MemoryFieldsStore extends FieldsStore {
  override readonly hashes: CacheStore;

  constructor(private readonly server: EmbeddedCacheServer) {
    super();
    this.hashes = new MemoryCacheStore(server.fields);
  }

  override async getFields(key: string, names: readonly string[]): Promise<StoredFields | undefined> {
    return this.server.fields.getFields(key, names);
  }

  override async setFields(write: FieldsWrite): Promise<SetFieldsReply> {
    return this.server.fields.setFields(write);
  }
}
