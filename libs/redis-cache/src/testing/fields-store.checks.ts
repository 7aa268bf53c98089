import assert from 'node:assert/strict';
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
import type { FieldsStore, FieldsWrite, FieldWrite, SetFieldsReply } from '../store/fields.store.js';
import { joinFields, splitFields } from '../store/fields-text.js';
import type { EntryVersion } from '../version/entry-version.js';
import { at, type CacheStoreSubject, CHANNEL, KEY, LEASE_MS, OPEN, SYNCED, TTL_MS } from './cache-store.checks.js';

/** A fresh, empty store of hashes under test. */
export interface FieldsStoreSubject extends Omit<CacheStoreSubject, 'store'> {
  readonly store: FieldsStore;
}

/** Fields by name, as `version` or as a deletion at it. */
export type GivenFields = Readonly<
  Record<string, number | { readonly deletedAt: number } | { readonly version: number; readonly ttlMs: number }>
>;

/** Requests of the contract, and what they are to lead to. */
export class FieldsChecks {
  constructor(private readonly subject: FieldsStoreSubject) {}

  get store(): FieldsStore {
    return this.subject.store;
  }

  /** The way in which a synced hash comes to be. */
  async loaded(base: number, names: readonly string[]): Promise<void> {
    await this.leases();
    await this.puts(base, names, 'applied', 't');
  }

  async leases(token = 't', floor = 0): Promise<void> {
    const reply = await this.store.hashes.getOrLease(KEY, token, LEASE_MS);
    assert.equal(reply.kind === 'leased' ? reply.floor.version : reply.kind, BigInt(floor));
  }

  /** A whole hash of fields that are stamped with its base. */
  async puts(base: number, names: readonly string[], outcome: string, token?: string, origin = SYNCED): Promise<void> {
    const payload = joinFields(names.map((name) => ({ name, version: at(base), payload: `${name}${base}` })));
    const reply = await this.store.hashes.set(
      { ...origin, key: KEY, version: at(base), payload, ttlMs: TTL_MS },
      token,
    );
    assert.equal(reply.outcome, outcome);
  }

  async sets(
    given: GivenFields,
    outcome: SetFieldsReply['outcome'],
    fields: readonly string[] = [],
    options: Partial<FieldsWrite> = SYNCED,
  ): Promise<SetFieldsReply> {
    const reply = await this.store.setFields({
      ...SYNCED,
      key: KEY,
      fields: writesOf(given),
      atomic: false,
      maxFields: 100,
      ttlMs: TTL_MS,
      tombstoneTtlMs: TTL_MS,
      ...options,
    });
    assert.deepEqual([reply.outcome, ...reply.fields], [outcome, ...fields]);
    return reply;
  }

  async invalidates(version: number, outcome: string, origin = SYNCED): Promise<void> {
    assert.equal((await this.store.hashes.invalidate(KEY, at(version), origin, TTL_MS)).outcome, outcome);
  }

  /** What a reader of the whole hash is shown: the stamp as `base.revision` (`undefined`: whatever it is), and fields with their versions. */
  async shows(stamp: string | undefined, fields: Readonly<Record<string, number>>): Promise<void> {
    const entry = await this.store.hashes.get(KEY);
    assert.ok(entry?.kind === 'value', `it holds ${entry?.kind ?? 'nothing'}`);
    assert.equal(stampText(entry.version), stamp ?? stampText(entry.version));
    const shown = splitFields(entry.payload).map(({ name, version }): [string, number] => [
      name,
      Number(version.version),
    ]);
    assert.deepEqual(Object.fromEntries(shown), fields);
    const names = Object.keys(fields);
    const some = await this.store.getFields(KEY, [...names, 'never']);
    assert.ok(some?.kind === 'fields');
    assert.equal(stampText(some.version), stampText(entry.version));
    assert.deepEqual(
      some.fields.map((field) => field && Number(field.version.version)),
      [...names.map((name) => fields[name]), undefined],
    );
  }

  async holds(kind: StoredEntry['kind'] | 'absent', version?: number): Promise<void> {
    const entry = await this.store.hashes.get(KEY);
    const some = await this.store.getFields(KEY, ['a']);
    assert.deepEqual([entry?.kind ?? 'absent', some?.kind ?? 'absent'], [kind, kind]);
    if (version !== undefined && entry !== undefined) {
      assert.equal((entry.kind === 'lease' ? entry.floor : entry.version).version, BigInt(version));
    }
  }

  async published(...expected: readonly string[]): Promise<void> {
    const messages = await this.subject.published(CHANNEL);
    assert.deepEqual(
      messages.map(({ action, version }) => `${action} ${version === null ? 'null' : stampText(version)}`),
      expected,
    );
  }
}

export { OPEN, SYNCED };

function writesOf(given: GivenFields): readonly FieldWrite[] {
  return Object.entries(given).map(([name, field]): FieldWrite => {
    if (typeof field === 'number') {
      return { name, version: at(field), payload: `${name}${field}` };
    }
    return 'deletedAt' in field
      ? { name, version: at(field.deletedAt), payload: null }
      : { name, version: at(field.version), payload: `${name}${field.version}`, ttlMs: field.ttlMs };
  });
}

function stampText({ version, minor }: EntryVersion): string {
  return minor === 0n ? String(version) : `${version}.${minor}`;
}

/** Values as hashes of one field, so that what is promised of values is checked of hashes. */
export class OneFieldHashes extends CacheStore {
  override readonly durable: boolean;
  override readonly shared: boolean;

  constructor(private readonly hashes: CacheStore) {
    super();
    this.durable = hashes.durable;
    this.shared = hashes.shared;
  }

  override async get(key: string): Promise<StoredEntry | undefined> {
    return plain(await this.hashes.get(key));
  }

  override async getMany(keys: readonly string[]): Promise<readonly (StoredEntry | undefined)[]> {
    return (await this.hashes.getMany(keys)).map(plain);
  }

  override async set(write: StoreWrite, leaseToken?: string): Promise<SetReply> {
    const payload = write.payload === null || write.version === 'next' ? null : hashed(write.version, write.payload);
    const reply = await this.hashes.set({ ...write, payload }, leaseToken);
    return { ...reply, current: plain(reply.current) };
  }

  override setAll(writes: readonly StoreWrite[]): Promise<readonly SetAllReply[]> {
    return this.hashes.setAll(writes);
  }

  override refresh(write: StoreRefresh): Promise<ChangeReply> {
    return this.hashes.refresh({ ...write, payload: hashed(write.version, write.payload) });
  }

  override invalidate(
    key: string,
    version: GivenVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply> {
    return this.hashes.invalidate(key, version, origin, tombstoneTtlMs);
  }

  override evict(key: string, origin: StoreOrigin): Promise<void> {
    return this.hashes.evict(key, origin);
  }

  override async getOrLease(key: string, token: string, leaseMs: number): Promise<LeaseReply> {
    const reply = await this.hashes.getOrLease(key, token, leaseMs);
    const entry = reply.kind === 'hit' ? plain(reply.entry) : undefined;
    return entry?.kind === 'value' ? { kind: 'hit', entry } : reply;
  }

  override renewLease(key: string, token: string, leaseMs: number): Promise<boolean> {
    return this.hashes.renewLease(key, token, leaseMs);
  }

  override releaseLease(key: string, token: string, origin: StoreOrigin): Promise<void> {
    return this.hashes.releaseLease(key, token, origin);
  }

  override stamp(key: string, ttlMs: number): Promise<EntryVersion> {
    return this.hashes.stamp(key, ttlMs);
  }

  override sweep(request: SweepRequest, cursor?: string): Promise<SweepReply> {
    return this.hashes.sweep(request, cursor);
  }
}

function hashed(version: EntryVersion, payload: string): string {
  return joinFields([{ name: 'only', version, payload }]);
}

function plain(entry: StoredEntry | undefined): StoredEntry | undefined {
  return entry?.kind === 'value' ? { ...entry, payload: splitFields(entry.payload)[0]?.payload ?? '' } : entry;
}
