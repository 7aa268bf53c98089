import type { InvalidationMessage } from '../invalidation/invalidation.bus.js';
import type {
  ChangeOutcome,
  ChangeReply,
  LeaseReply,
  SetReply,
  StoredEntry,
  StoreOrigin,
  StoreWrite,
  SweepReply,
  SweepRequest,
} from '../store/cache.store.js';
import type { EntryVersion } from '../version/entry-version.js';
import type { ChannelHub } from './channel.hub.js';
import type { EntryProtocol, EntryState, Step } from './entry.protocol.js';
import type { Keyspace } from './keyspace.js';

/** How a value is kept, and how the store shows it. */
export interface EntryForm<P> {
  readonly protocol: EntryProtocol<P>;
  readonly keyspace: Keyspace<P>;
  /** What is kept of a payload that is to be stored. */
  keep(payload: string): P;
  /** What the store answers for a value. */
  show(state: Extract<EntryState<P>, { kind: 'value' }>, ttlMs: number): Extract<StoredEntry, { kind: 'value' }>;
}

/** The requests of a `CacheStore` as atomic steps on a keyspace: each reads, decides by the protocol, writes and publishes. */
export class EmbeddedEntries<P> {
  readonly #form: EntryForm<P>;
  readonly #hub: ChannelHub<InvalidationMessage>;
  #closed = false;

  constructor(form: EntryForm<P>, hub: ChannelHub<InvalidationMessage>) {
    this.#form = form;
    this.#hub = hub;
  }

  /** Keys, bytes, and keys that were forgotten because there was no room. */
  get counts(): { readonly entries: number; readonly bytes: number; readonly evicted: number } {
    const { size, bytes, evicted } = this.#form.keyspace;
    return { entries: size, bytes, evicted };
  }

  /** Forgets a key as if its time were up: nothing is published. */
  expire(key: string): void {
    this.#form.keyspace.remove(key);
  }

  /** Forgets everything; requests fail from now on. */
  close(): void {
    this.#closed = true;
    this.#form.keyspace.clear();
  }

  get(key: string): StoredEntry | undefined {
    const found = this.form.keyspace.read(key);
    return found && this.#shown(found.state, found.ttlMs);
  }

  set(write: StoreWrite, leaseToken?: string): SetReply {
    const { key, version, payload, synced, ttlMs } = write;
    const kept = { version, payload: payload === null ? null : this.form.keep(payload), synced };
    const { outcome } = this.step(key, write, ttlMs, (state) => this.form.protocol.set(state, kept, leaseToken));
    return { outcome, current: this.get(key) };
  }

  refresh(write: StoreWrite & { readonly payload: string }): ChangeReply {
    const payload = this.form.keep(write.payload);
    return toChangeReply(
      this.step(write.key, write, write.ttlMs, (state) => this.form.protocol.refresh(state, write.version, payload)),
    );
  }

  invalidate(key: string, version: EntryVersion, origin: StoreOrigin, tombstoneTtlMs: number): ChangeReply {
    return toChangeReply(
      this.step(key, origin, tombstoneTtlMs, (state) => this.form.protocol.invalidate(state, version, origin.synced)),
    );
  }

  evict(key: string, origin: StoreOrigin): void {
    this.step(key, origin, 0, () => this.form.protocol.evict());
  }

  getOrLease(key: string, token: string, leaseMs: number): LeaseReply {
    const { outcome } = this.step(key, undefined, leaseMs, (state) => this.form.protocol.getOrLease(state, token));
    const entry = this.get(key);
    if (outcome === 'wait' || entry === undefined || entry.kind === 'tombstone') {
      return { kind: 'wait', remainingMs: entry?.ttlMs ?? 0 };
    }
    return entry.kind === 'lease' ? { kind: 'leased', floor: entry.floor } : { kind: 'hit', entry };
  }

  renewLease(key: string, token: string, leaseMs: number): boolean {
    const { keyspace, protocol } = this.form;
    const found = keyspace.read(key);
    if (found === undefined || !protocol.holds(found.state, token)) {
      return false;
    }
    keyspace.write(key, found.state, leaseMs);
    return true;
  }

  releaseLease(key: string, token: string, origin: StoreOrigin): void {
    this.step(key, origin, 0, (state) => this.form.protocol.release(state, token));
  }

  sweep(request: SweepRequest, cursor?: string): SweepReply {
    const { keyspace, protocol } = this.form;
    const { keys: names, version, limit, synced, tombstoneTtlMs, channel, source } = request;
    const { keys, next } = keyspace.scan(cursor === undefined ? 0 : Number(cursor), limit);
    let swept = 0;
    for (const key of keys) {
      const state = key.startsWith(names.before) && key.endsWith(names.after) ? keyspace.inspect(key) : undefined;
      const step = state && protocol.sweep(state, version, synced);
      if (step?.outcome !== 'swept') {
        continue;
      }
      swept++;
      this.#write(key, step, keyspace.read(key)?.ttlMs, tombstoneTtlMs);
    }
    if (next === undefined) {
      this.#hub.publish(channel, { source, action: 'flush', key: '', version: null });
    }
    return { swept, cursor: next?.toString() ?? null };
  }

  /** Reads, decides, writes and publishes without a pause: nothing can come in between. */
  step<TOutcome>(
    key: string,
    origin: StoreOrigin | undefined,
    ttlMs: number,
    decide: (state: EntryState<P> | undefined) => Step<TOutcome, P>,
  ): Step<TOutcome, P> {
    const found = this.form.keyspace.read(key);
    const step = decide(found?.state);
    if (step.next === undefined || step.next !== found?.state) {
      this.#write(key, step, found?.ttlMs, ttlMs);
    }
    if (step.publish !== undefined && origin !== undefined) {
      this.#hub.publish(origin.channel, { source: origin.source, key, ...step.publish });
    }
    return step;
  }

  /** @throws Error once it is closed. */
  protected get form(): EntryForm<P> {
    if (this.#closed) {
      throw new Error('The embedded cache server is closed.');
    }
    return this.#form;
  }

  #write(key: string, { next, life }: Step<unknown, P>, leftMs: number | undefined, ttlMs: number): void {
    const { keyspace } = this.form;
    if (next === undefined) {
      keyspace.remove(key);
    } else if (leftMs === undefined || life === 'own') {
      keyspace.write(key, next, ttlMs);
    } else {
      keyspace.write(key, next, life === 'kept' ? leftMs : Math.max(leftMs, ttlMs));
    }
  }

  #shown(state: EntryState<P>, ttlMs: number): StoredEntry {
    if (state.kind === 'value') {
      return this.form.show(state, ttlMs);
    }
    return state.kind === 'lease' ? { kind: 'lease', floor: state.floor, ttlMs } : { ...state, ttlMs };
  }
}

function toChangeReply(step: { readonly outcome: ChangeOutcome } & Pick<Step<ChangeOutcome>, 'publish'>): ChangeReply {
  return { outcome: step.outcome, version: step.publish?.version ?? undefined };
}
