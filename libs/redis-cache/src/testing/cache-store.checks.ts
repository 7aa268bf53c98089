import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { InvalidationMessage } from '../invalidation/invalidation.bus.js';
import type { CacheStore, StoredEntry, StoreOrigin, StoreRefresh, SweepRequest } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';

/** A fresh, empty store under test. */
export interface CacheStoreSubject {
  readonly store: CacheStore;
  /** Messages that were published on a channel, in order, once they have all arrived. */
  published(channel: string): Promise<readonly InvalidationMessage[]>;
  /** Lets `ms` milliseconds pass for the store. */
  elapse(ms: number): Promise<void>;
  close(): Promise<void>;
}

export const CHANNEL = 'test:contract:!inv';
export const KEY = '{test:contract:k}:v';
export const LEASE_MS = 1_000;
export const TTL_MS = 60_000;
export const SYNCED: StoreOrigin = { channel: CHANNEL, source: 'a', synced: true };
/** A sync feeds it, and its changes create. */
export const POPULATED: StoreOrigin = { channel: CHANNEL, source: 'a', synced: true, populate: true };
export const OPEN: StoreOrigin = { channel: CHANNEL, source: 'a', synced: false };

export const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
export const write = (version: number, origin = SYNCED): StoreRefresh => ({
  ...origin,
  key: KEY,
  version: at(version),
  payload: `"${version}"`,
  ttlMs: TTL_MS,
});
export const sweepAt = (version: number, origin = SYNCED, limit = 1_000): SweepRequest => ({
  ...origin,
  keys: { before: '{test:contract:', after: '}:v' },
  version: at(version),
  limit,
  tombstoneTtlMs: TTL_MS,
});
export const versionOf = (entry: StoredEntry | undefined): bigint | undefined =>
  entry === undefined ? undefined : (entry.kind === 'lease' ? entry.floor : entry.version).version;

export class Checks {
  constructor(private readonly subject: CacheStoreSubject) {}

  get store(): CacheStore {
    return this.subject.store;
  }

  async lease(token = 't', floor = 0): Promise<void> {
    const reply = await this.store.getOrLease(KEY, token, LEASE_MS);
    assert.equal(reply.kind, 'leased');
    assert.equal(reply.kind === 'leased' ? reply.floor.version : undefined, BigInt(floor));
  }

  /** The way in which a synced value comes to be. */
  async loaded(version: number): Promise<void> {
    await this.lease();
    await this.sets(version, 'applied', 't');
  }

  async sets(version: number, outcome: string, token?: string, origin = SYNCED): Promise<void> {
    assert.equal((await this.store.set(write(version, origin), token)).outcome, outcome);
  }

  async refreshes(version: number, outcome: string, origin = SYNCED): Promise<void> {
    assert.equal((await this.store.refresh(write(version, origin))).outcome, outcome);
  }

  async invalidates(version: number, outcome: string, origin = SYNCED): Promise<void> {
    assert.equal((await this.store.invalidate(KEY, at(version), origin, TTL_MS)).outcome, outcome);
  }

  async holds(kind: StoredEntry['kind'] | 'absent', version?: number): Promise<void> {
    const entry = await this.store.get(KEY);
    assert.equal(entry?.kind ?? 'absent', kind);
    assert.equal(versionOf(entry), version === undefined ? undefined : BigInt(version));
  }

  /** Goes on until the sweep has ended; answers what was removed and in how many calls. */
  async sweeps(request: SweepRequest, between?: () => Promise<void>): Promise<{ swept: number; calls: number }> {
    return await sweepAll(this.store, request, between);
  }

  async published(...expected: readonly string[]): Promise<void> {
    const messages = await this.subject.published(CHANNEL);
    assert.deepEqual(
      messages.map(({ action, version }) => `${action} ${version === null ? 'null' : version.version}`),
      expected,
    );
    for (const message of messages) {
      assert.equal(message.key, message.action === 'flush' ? '' : KEY);
      assert.equal(message.source, 'a');
    }
  }
}

/** Makes a case of a body. */
export type Check = (
  title: string,
  body: (checks: Checks, subject: CacheStoreSubject) => Promise<void>,
) => ContractCase;

/** Sweeps until the end, in as many calls as it takes: a cluster needs at least one for each of its servers. */
export async function sweepAll(
  store: CacheStore,
  request: SweepRequest,
  between?: () => Promise<void>,
): Promise<{ swept: number; calls: number }> {
  let swept = 0;
  let cursor: string | undefined;
  for (let calls = 1; ; calls++) {
    const reply = await store.sweep(request, cursor);
    swept += reply.swept;
    if (reply.cursor === null) {
      return { swept, calls };
    }
    cursor = reply.cursor;
    await between?.();
  }
}
