import { checkOptions, Clock } from '@smartpulse/resilience';
import { z } from 'zod';
import type {
  InvalidationListener,
  InvalidationMessage,
  InvalidationSubscription,
} from '../invalidation/invalidation.bus.js';
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
import { ChannelHub, type HubListener, type HubSubscription } from './channel.hub.js';
import { EntryProtocol, type EntryState, type Step } from './entry.protocol.js';
import { Keyspace, type WhenFull } from './keyspace.js';

/** The options of {@link EmbeddedCacheServer}. */
export interface EmbeddedCacheServerOptions {
  /** Lives are measured on it. */
  readonly clock: Clock;
  /** Most keys. Default 100 000. */
  readonly maxEntries?: number | undefined;
  /** Most bytes of keys and payloads together, roughly. Default 268 435 456 (256 MiB). */
  readonly maxBytes?: number | undefined;
  /** `evict` (default): forget the key unused for longest. `refuse`: the write fails with CacheServerFullError. */
  readonly whenFull?: WhenFull | undefined;
  /** Messages that may wait for one subscriber; beyond, it is told that it lost some. Default 100 000. */
  readonly maxPendingMessages?: number | undefined;
  /** The rules of a key. Default {@link EntryProtocol}; tests hand in twins that lack one. */
  readonly protocol?: EntryProtocol | undefined;
}

/** The defaults of {@link EmbeddedCacheServerOptions}. */
export const EMBEDDED_CACHE_SERVER_DEFAULTS = Object.freeze({
  maxEntries: 100_000,
  maxBytes: 268_435_456,
  whenFull: 'evict',
  maxPendingMessages: 100_000,
} as const);

/** What an {@link EmbeddedCacheServer} holds and counted. */
export interface EmbeddedCacheServerStats {
  readonly entries: number;
  readonly bytes: number;
  /** Keys forgotten because there was no room. */
  readonly evicted: number;
  readonly published: number;
  readonly delivered: number;
  /** Messages on their way; 0 = the backplane is drained. */
  readonly pending: number;
  /** Listeners of the backplane and of channels. */
  readonly subscribers: number;
}

const positive = (fallback: number): z.ZodDefault<z.ZodNumber> =>
  z.int('expected a whole number of at least 1').min(1, 'expected a whole number of at least 1').default(fallback);

const schema = z.strictObject({
  clock: z.instanceof(Clock, { error: 'expected an instance of a class that extends Clock' }),
  maxEntries: positive(EMBEDDED_CACHE_SERVER_DEFAULTS.maxEntries),
  maxBytes: positive(EMBEDDED_CACHE_SERVER_DEFAULTS.maxBytes),
  whenFull: z
    .enum(['evict', 'refuse'], "expected 'evict' or 'refuse'")
    .default(EMBEDDED_CACHE_SERVER_DEFAULTS.whenFull),
  maxPendingMessages: positive(EMBEDDED_CACHE_SERVER_DEFAULTS.maxPendingMessages),
  protocol: z.instanceof(EntryProtocol, { error: 'expected an instance of EntryProtocol' }).optional(),
});

/**
 * What a Redis server is to several replicas, in memory: one keyspace whose requests are atomic steps, and channels that tell every subscriber
 * in order. Create one, hand it to every app of the process, close it last.
 *
 * @example
 * ```ts
 * const server = new EmbeddedCacheServer({ clock: new SystemClock() });
 * RedisCacheModule.forRoot({ url: 'memory://', prefix: 'shop', server });
 * ```
 */
export class EmbeddedCacheServer {
  readonly #keyspace: Keyspace;
  readonly #hub: ChannelHub<InvalidationMessage>;
  readonly #texts: ChannelHub<string>;
  readonly #protocol: EntryProtocol;
  #closed = false;

  /** @throws ConfigurationError when an option is unknown or out of range. */
  constructor(options: EmbeddedCacheServerOptions) {
    const { clock, maxPendingMessages, protocol, ...bounds } = checkOptions('EmbeddedCacheServer', schema, options);
    this.#keyspace = new Keyspace(bounds, clock);
    this.#hub = new ChannelHub(maxPendingMessages);
    this.#texts = new ChannelHub(maxPendingMessages);
    this.#protocol = protocol ?? new EntryProtocol();
  }

  /** What it holds and counted. */
  stats(): EmbeddedCacheServerStats {
    return {
      entries: this.#keyspace.size,
      bytes: this.#keyspace.bytes,
      evicted: this.#keyspace.evicted,
      ...this.#hub.counts,
      subscribers: this.#hub.counts.subscribers + this.#texts.counts.subscribers,
    };
  }

  /** Ends every subscription (its replica is told) and forgets everything; requests fail from now on. */
  close(): void {
    this.#closed = true;
    this.#hub.close('The embedded cache server was closed.');
    this.#texts.close('The embedded cache server was closed.');
    this.#keyspace.clear();
  }

  /** Forgets a key as if its time were up: nothing is published. */
  expire(key: string): void {
    this.#keyspace.remove(key);
  }

  /** Value and version in one step. */
  get(key: string): StoredEntry | undefined {
    this.#checkOpen();
    const found = this.#keyspace.read(key);
    return found && toStored(found.state, found.ttlMs);
  }

  /** See {@link CacheStore.set}. */
  set(write: StoreWrite, leaseToken?: string): SetReply {
    const { outcome } = this.#step(write.key, write, write.ttlMs, (state) =>
      this.#protocol.set(state, write, leaseToken),
    );
    return { outcome, current: this.get(write.key) };
  }

  /** See {@link CacheStore.refresh}. */
  refresh(write: StoreWrite & { readonly payload: string }): ChangeReply {
    return toChangeReply(
      this.#step(write.key, write, write.ttlMs, (state) => this.#protocol.refresh(state, write.version, write.payload)),
    );
  }

  /** See {@link CacheStore.invalidate}. */
  invalidate(key: string, version: EntryVersion, origin: StoreOrigin, tombstoneTtlMs: number): ChangeReply {
    return toChangeReply(
      this.#step(key, origin, tombstoneTtlMs, (state) => this.#protocol.invalidate(state, version, origin.synced)),
    );
  }

  /** See {@link CacheStore.evict}. */
  evict(key: string, origin: StoreOrigin): void {
    this.#step(key, origin, 0, () => this.#protocol.evict());
  }

  /** See {@link CacheStore.getOrLease}. */
  getOrLease(key: string, token: string, leaseMs: number): LeaseReply {
    const { outcome } = this.#step(key, undefined, leaseMs, (state) => this.#protocol.getOrLease(state, token));
    const entry = this.get(key);
    if (outcome === 'wait' || entry === undefined || entry.kind === 'tombstone') {
      return { kind: 'wait', remainingMs: entry?.ttlMs ?? 0 };
    }
    return entry.kind === 'lease' ? { kind: 'leased', floor: entry.floor } : { kind: 'hit', entry };
  }

  /** See {@link CacheStore.renewLease}. */
  renewLease(key: string, token: string, leaseMs: number): boolean {
    this.#checkOpen();
    const found = this.#keyspace.read(key);
    if (found === undefined || !this.#protocol.holds(found.state, token)) {
      return false;
    }
    this.#keyspace.write(key, found.state, leaseMs);
    return true;
  }

  /** See {@link CacheStore.releaseLease}. */
  releaseLease(key: string, token: string, origin: StoreOrigin): void {
    this.#step(key, origin, 0, (state) => this.#protocol.release(state, token));
  }

  /** See {@link CacheStore.sweep}. */
  sweep(request: SweepRequest, cursor?: string): SweepReply {
    this.#checkOpen();
    const { keys: names, version, limit, synced, tombstoneTtlMs, channel, source } = request;
    const { keys, next } = this.#keyspace.scan(cursor === undefined ? 0 : Number(cursor), limit);
    let swept = 0;
    for (const key of keys) {
      const state = key.startsWith(names.before) && key.endsWith(names.after) ? this.#keyspace.inspect(key) : undefined;
      const step = state && this.#protocol.sweep(state, version, synced);
      if (step?.outcome !== 'swept') {
        continue;
      }
      swept++;
      if (step.next === undefined) {
        this.#keyspace.remove(key);
      } else {
        this.#keyspace.write(key, step.next, tombstoneTtlMs);
      }
    }
    if (next === undefined) {
      this.#hub.publish(channel, { source, action: 'flush', key: '', version: null });
    }
    return { swept, cursor: next?.toString() ?? null };
  }

  /** See {@link InvalidationBus.subscribe}. */
  async subscribe(channel: string, listener: InvalidationListener): Promise<InvalidationSubscription> {
    this.#checkOpen();
    return await this.#hub.subscribe(channel, listener);
  }

  /** Tells a text to everybody who listens to its channel now: apart from the backplane, whose messages its stats count. */
  publishText(channel: string, text: string): void {
    this.#checkOpen();
    this.#texts.publish(channel, text);
  }

  /** Listens to the texts of a channel. */
  async listen(channel: string, listener: HubListener<string>): Promise<HubSubscription> {
    this.#checkOpen();
    return await this.#texts.subscribe(channel, listener);
  }

  /** Reads, decides, writes and publishes without a pause: nothing can come in between. */
  #step<TOutcome>(
    key: string,
    origin: StoreOrigin | undefined,
    ttlMs: number,
    decide: (state: EntryState | undefined) => Step<TOutcome>,
  ): Step<TOutcome> {
    this.#checkOpen();
    const found = this.#keyspace.read(key);
    const step = decide(found?.state);
    if (step.next === undefined) {
      this.#keyspace.remove(key);
    } else if (step.next !== found?.state) {
      this.#keyspace.write(key, step.next, step.life === 'own' || found === undefined ? ttlMs : found.ttlMs);
    }
    if (step.publish !== undefined && origin !== undefined) {
      this.#hub.publish(origin.channel, { source: origin.source, key, ...step.publish });
    }
    return step;
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new Error('The embedded cache server is closed.');
    }
  }
}

function toStored(state: EntryState, ttlMs: number): StoredEntry {
  return state.kind === 'lease' ? { kind: 'lease', floor: state.floor, ttlMs } : { ...state, ttlMs };
}

function toChangeReply(step: Step<ChangeOutcome>): ChangeReply {
  return { outcome: step.outcome, version: step.publish?.version ?? undefined };
}
