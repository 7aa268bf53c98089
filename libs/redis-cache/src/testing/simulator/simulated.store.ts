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
} from '../../store/cache.store.js';
import type { EntryVersion } from '../../version/entry-version.js';
import type { SimulatedLine } from './simulated.line.js';

/** A store at the other end of a replica's line. */
export class SimulatedStore extends CacheStore {
  readonly durable = false;
  readonly shared = true;

  constructor(
    private readonly store: CacheStore,
    private readonly line: SimulatedLine,
  ) {
    super();
  }

  override get(key: string): Promise<StoredEntry | undefined> {
    return this.line.call('get', () => this.store.get(key));
  }

  override getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]> {
    return this.line.call('getMany', () => this.store.getMany(keys));
  }

  override set(write: StoreWrite, leaseToken?: string): Promise<SetReply> {
    const what = `set(${versionText(write.version)}${leaseToken === undefined ? '' : ', lease'})`;
    return this.line.call(what, () => this.store.set(write, leaseToken));
  }

  override setAll(writes: readonly StoreWrite[]): Promise<readonly SetAllReply[]> {
    return this.line.call('setAll', () => this.store.setAll(writes));
  }

  override refresh(write: StoreRefresh): Promise<ChangeReply> {
    return this.line.call(`refresh(${write.version.version})`, () => this.store.refresh(write));
  }

  override invalidate(
    key: string,
    version: GivenVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply> {
    return this.line.call(`invalidate(${versionText(version)})`, () =>
      this.store.invalidate(key, version, origin, tombstoneTtlMs),
    );
  }

  override evict(key: string, origin: StoreOrigin): Promise<void> {
    return this.line.call('evict', () => this.store.evict(key, origin));
  }

  override getOrLease(key: string, token: string, leaseMs: number, withinMs?: number): Promise<LeaseReply> {
    return this.line.call('getOrLease', () => this.store.getOrLease(key, token, leaseMs, withinMs));
  }

  override renewLease(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.line.call('renewLease', () => this.store.renewLease(key, token, leaseMs));
  }

  override releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void> {
    return this.line.call('releaseLease', () => this.store.releaseLease(key, token, origin));
  }

  override stamp(key: string, ttlMs: number): Promise<EntryVersion> {
    return this.line.call('stamp', () => this.store.stamp(key, ttlMs));
  }

  override sweep(request: SweepRequest, cursor?: string): Promise<SweepReply> {
    return this.line.call(`sweep(${request.version.version})`, () => this.store.sweep(request, cursor));
  }
}

function versionText(version: GivenVersion): string {
  return version === 'next' ? version : String(version.version);
}
