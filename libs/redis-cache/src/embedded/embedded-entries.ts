import type { Clock } from '@smartpulse/resilience';
import type { InvalidationMessage } from '../invalidation/invalidation.bus.js';
import type {
  ChangeOutcome,
  ChangeReply,
  GivenVersion,
  LeaseReply,
  SetAllReply,
  SetReply,
  StoredEntry,
  StoreOrigin,
  StoreRefresh,
  StoreWrite,
  SweepReply,
  SweepRequest,
} from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';
import type { ChannelHub } from './channel.hub.js';
import type { EntryProtocol, EntryState, EntryWrite, Life, Step } from './entry.protocol.js';
import type { Keyspace } from './keyspace.js';

/** How a value is kept, and how the store shows it. */
export interface EntryForm<P> {
  readonly protocol: EntryProtocol<P>;
  readonly keyspace: Keyspace<P>;
  /** What is kept of a payload that is to be stored. */
  keep(payload: string): P;
  /** What the store answers for a value that has so much left until it is old. */
  show(state: Extract<EntryState<P>, { kind: 'value' }>, ttlMs: number): Extract<StoredEntry, { kind: 'value' }>;
}

/** The requests of a `CacheStore` as atomic steps on a keyspace: each reads, decides by the protocol, writes and publishes. */
export class EmbeddedEntries<P> {
  readonly #form: EntryForm<P>;
  readonly #hub: ChannelHub<InvalidationMessage>;
  readonly #clock: Clock;
  #closed = false;

  constructor(form: EntryForm<P>, hub: ChannelHub<InvalidationMessage>, clock: Clock) {
    this.#form = form;
    this.#hub = hub;
    this.#clock = clock;
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
    const { outcome } = this.step(write.key, write, lifeOf(write), (state) =>
      this.form.protocol.set(state, this.#written(state, write), leaseToken),
    );
    return { outcome, current: this.get(write.key) };
  }

  setAll(writes: readonly StoreWrite[]): readonly SetAllReply[] {
    const { keyspace, protocol } = this.form;
    const outcomes = writes.map((write) => {
      const state = keyspace.inspect(write.key);
      return protocol.set(state, this.#written(state, write), undefined).outcome;
    });
    const all = outcomes.every((outcome) => outcome === 'applied');
    if (all) {
      writes.forEach((write) => this.set(write));
    }
    return writes.map(({ key }, index) => {
      const outcome = outcomes[index] ?? 'absent';
      return { outcome: !all && outcome === 'applied' ? 'withheld' : outcome, current: this.get(key) };
    });
  }

  refresh(write: StoreRefresh): ChangeReply {
    const brought = {
      version: write.version,
      payload: this.form.keep(write.payload),
      freshUntilMs: this.#nowMs + write.ttlMs,
    };
    return toChangeReply(
      this.step(write.key, write, lifeOf(write), (state) => this.form.protocol.refresh(state, brought, write)),
    );
  }

  invalidate(key: string, version: GivenVersion, origin: StoreOrigin, tombstoneTtlMs: number): ChangeReply {
    return toChangeReply(
      this.step(key, origin, tombstoneTtlMs, (state) => {
        const own = version === 'next';
        const given = own ? this.#next(state) : version;
        return this.form.protocol.invalidate(state, given, origin, this.#nowMs, own);
      }),
    );
  }

  evict(key: string, origin: StoreOrigin): void {
    this.step(key, origin, 0, () => this.form.protocol.evict());
  }

  getOrLease(key: string, token: string, leaseMs: number, withinMs?: number): LeaseReply {
    const nowMs = this.#nowMs;
    const { outcome, next } = this.step(key, undefined, leaseMs, (state) =>
      this.form.protocol.getOrLease(state, { token, nowMs, leaseMs, withinMs }),
    );
    const entry = this.get(key);
    if (next?.kind === 'value' && entry?.kind === 'value' && outcome !== 'hit') {
      return outcome === 'leased'
        ? { kind: 'leased', floor: entry.version, kept: entry }
        : { kind: 'wait', remainingMs: (next.renewal?.untilMs ?? nowMs) - nowMs, kept: entry };
    }
    if (outcome === 'wait' || entry === undefined || entry.kind === 'tombstone') {
      return { kind: 'wait', remainingMs: entry?.ttlMs ?? 0 };
    }
    return entry.kind === 'lease' ? { kind: 'leased', floor: entry.floor } : { kind: 'hit', entry };
  }

  renewLease(key: string, token: string, leaseMs: number): boolean {
    const request = { token, nowMs: this.#nowMs, leaseMs };
    const { outcome } = this.step(key, undefined, leaseMs, (state) => this.form.protocol.renew(state, request));
    return outcome === 'renewed';
  }

  stamp(key: string, ttlMs: number): EntryVersion {
    const { next } = this.step(key, undefined, ttlMs, (state) => this.form.protocol.stamp(state, this.#clock.now()));
    return next?.kind === 'tombstone' ? next.version : EntryVersion.ZERO;
  }

  releaseLease(key: string, token: string, origin: StoreOrigin): void {
    this.step(key, origin, 0, (state) => this.form.protocol.release(state, token));
  }

  sweep(request: SweepRequest, cursor?: string): SweepReply {
    const { keyspace, protocol } = this.form;
    const { keys: names, version, limit, tombstoneTtlMs, channel, source } = request;
    const { keys, next } = keyspace.scan(cursor === undefined ? 0 : Number(cursor), limit);
    let swept = 0;
    for (const key of keys) {
      const state = key.startsWith(names.before) && key.endsWith(names.after) ? keyspace.inspect(key) : undefined;
      const step = state && protocol.sweep(state, version, request);
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
    } else {
      keyspace.write(key, next, lifeMs(life, ttlMs, leftMs));
    }
  }

  /** A write with the version that it is to have. */
  #written(state: EntryState<P> | undefined, { version, payload, synced, ttlMs }: StoreWrite): EntryWrite<P> {
    return {
      version: version === 'next' ? this.#next(state) : version,
      payload: payload === null ? null : this.form.keep(payload),
      synced,
      freshUntilMs: this.#nowMs + ttlMs,
    };
  }

  #next(state: EntryState<P> | undefined): EntryVersion {
    return this.form.protocol.next(state, this.#clock.now());
  }

  /** Lives are measured on it; only versions are of the calendar. */
  get #nowMs(): number {
    return this.#clock.monotonic();
  }

  #shown(state: EntryState<P>, ttlMs: number): StoredEntry {
    if (state.kind === 'value') {
      return this.form.show(state, state.freshUntilMs === undefined ? ttlMs : state.freshUntilMs - this.#nowMs);
    }
    return state.kind === 'lease' ? { kind: 'lease', floor: state.floor, ttlMs } : { ...state, ttlMs };
  }
}

function toChangeReply(step: { readonly outcome: ChangeOutcome } & Pick<Step<ChangeOutcome>, 'publish'>): ChangeReply {
  return { outcome: step.outcome, version: step.publish?.version ?? undefined };
}

/** An old value is kept for a while; what is not there is not. */
function lifeOf({ payload, ttlMs, keptMs = 0 }: StoreWrite): number {
  return payload === null ? ttlMs : ttlMs + keptMs;
}

function lifeMs(life: Life, ownMs: number, keptMs = ownMs): number {
  switch (life) {
    case 'own':
      return ownMs;
    case 'kept':
      return keptMs;
    case 'longest':
      return Math.max(ownMs, keptMs);
    default:
      return life;
  }
}
