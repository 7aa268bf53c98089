import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  CacheStore,
  type ChangeReply,
  type GivenVersion,
  type LeaseReply,
  type SetAllReply,
  type SetReply,
  type StoredEntry,
  type StoreOrigin,
  type StoreRefresh,
  type StoreWrite,
  type SweepReply,
  type SweepRequest,
} from '../store/cache.store.js';
import type { EntryVersion } from '../version/entry-version.js';
import type { EmbeddedEntries } from './embedded-entries.js';

type EntryRequests = Pick<
  EmbeddedEntries<unknown>,
  | 'get'
  | 'set'
  | 'setAll'
  | 'refresh'
  | 'invalidate'
  | 'evict'
  | 'getOrLease'
  | 'renewLease'
  | 'releaseLease'
  | 'stamp'
  | 'sweep'
>;

/** The second level in memory: as durable as the process, shared by those that hold the same server. */
export class MemoryCacheStore extends CacheStore {
  readonly durable = false;
  readonly shared = false;

  /** @param server an `EmbeddedCacheServer`, or its `fields`. */
  constructor(private readonly server: EntryRequests) {
    super();
  }

  override async get(key: string): Promise<StoredEntry | undefined> {
    return this.server.get(key);
  }

  override async getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]> {
    return keys.map((key) => this.server.get(key));
  }

  override async set(write: StoreWrite, leaseToken?: string): Promise<SetReply> {
    return this.server.set(write, leaseToken);
  }

  override async setAll(writes: readonly StoreWrite[]): Promise<readonly SetAllReply[]> {
    return this.server.setAll(writes);
  }

  override async refresh(write: StoreRefresh): Promise<ChangeReply> {
    return this.server.refresh(write);
  }

  override async invalidate(
    key: string,
    version: GivenVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply> {
    return this.server.invalidate(key, version, origin, tombstoneTtlMs);
  }

  override async evict(key: string, origin: StoreOrigin): Promise<void> {
    this.server.evict(key, origin);
  }

  override async getOrLease(key: string, token: string, leaseMs: number, withinMs?: number): Promise<LeaseReply> {
    return this.server.getOrLease(key, token, leaseMs, withinMs);
  }

  override async renewLease(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.server.renewLease(key, token, leaseMs);
  }

  override async releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void> {
    this.server.releaseLease(key, token, origin);
  }

  override async stamp(key: string, ttlMs: number): Promise<EntryVersion> {
    return this.server.stamp(key, ttlMs);
  }

  override async sweep(request: SweepRequest, cursor?: string): Promise<SweepReply> {
    if (cursor !== undefined) {
      // A real store is a network away; here whoever sweeps a large namespace must not keep the process from everything else.
      await nextTurn();
    }
    return this.server.sweep(request, cursor);
  }
}
