import { checkOptions, Clock } from '@smartpulse/resilience';
import { z } from 'zod';
import type {
  InvalidationListener,
  InvalidationMessage,
  InvalidationSubscription,
} from '../invalidation/invalidation.bus.js';
import type {
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
import type { EntryVersion } from '../version/entry-version.js';
import { ChannelHub, type HubListener, type HubSubscription } from './channel.hub.js';
import { EmbeddedEntries } from './embedded-entries.js';
import { EntryProtocol } from './entry.protocol.js';
import { EmbeddedFields } from './fields/embedded-fields.js';
import { FieldsProtocol } from './fields/fields.protocol.js';
import { Keyspace, type WhenFull } from './keyspace.js';

/** The options of {@link EmbeddedCacheServer}. */
export interface EmbeddedCacheServerOptions {
  /** Lives are measured on it. */
  readonly clock: Clock;
  /** Most keys of values, and as many of hashes. Default 100 000. */
  readonly maxEntries?: number | undefined;
  /** Most bytes of keys and payloads together, roughly, of values, and as many of hashes. Default 268 435 456 (256 MiB). */
  readonly maxBytes?: number | undefined;
  /** `evict` (default): forget the key unused for longest. `refuse`: the write fails with CacheServerFullError. */
  readonly whenFull?: WhenFull | undefined;
  /** Messages that may wait for one subscriber; beyond, it is told that it lost some. Default 100 000. */
  readonly maxPendingMessages?: number | undefined;
  /** The rules of a key. Default {@link EntryProtocol}; tests hand in twins that lack one. */
  readonly protocol?: EntryProtocol | undefined;
  /** The rules of a hash. Default {@link FieldsProtocol}; tests hand in twins that lack one. */
  readonly fieldsProtocol?: FieldsProtocol | undefined;
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
  protocol: z
    .custom<EntryProtocol>((value) => value instanceof EntryProtocol, {
      error: 'expected an instance of EntryProtocol',
    })
    .optional(),
  fieldsProtocol: z.instanceof(FieldsProtocol, { error: 'expected an instance of FieldsProtocol' }).optional(),
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
  readonly #entries: EmbeddedEntries<string>;
  readonly #fields: EmbeddedFields;
  readonly #hub: ChannelHub<InvalidationMessage>;
  readonly #texts: ChannelHub<string>;
  #closed = false;

  /** @throws ConfigurationError when an option is unknown or out of range. */
  constructor(options: EmbeddedCacheServerOptions) {
    const { clock, maxPendingMessages, protocol, fieldsProtocol, ...bounds } = checkOptions(
      'EmbeddedCacheServer',
      schema,
      options,
    );
    this.#hub = new ChannelHub(maxPendingMessages);
    this.#texts = new ChannelHub(maxPendingMessages);
    this.#entries = new EmbeddedEntries(
      {
        protocol: protocol ?? new EntryProtocol(),
        keyspace: new Keyspace(bounds, clock, (payload) => payload.length * 2),
        keep: (payload) => payload,
        show: ({ kind, version, payload }, ttlMs) => ({ kind, version, payload, ttlMs }),
      },
      this.#hub,
      clock,
    );
    this.#fields = new EmbeddedFields(bounds, clock, this.#hub, fieldsProtocol ?? new FieldsProtocol());
  }

  /** Hashes of fields with versions of their own; see `FieldsStore`. */
  get fields(): EmbeddedFields {
    return this.#fields;
  }

  /** What it holds and counted. */
  stats(): EmbeddedCacheServerStats {
    const [values, hashes] = [this.#entries.counts, this.#fields.counts];
    return {
      entries: values.entries + hashes.entries,
      bytes: values.bytes + hashes.bytes,
      evicted: values.evicted + hashes.evicted,
      ...this.#hub.counts,
      subscribers: this.#hub.counts.subscribers + this.#texts.counts.subscribers,
    };
  }

  /** Ends every subscription (its replica is told) and forgets everything; requests fail from now on. */
  close(): void {
    this.#closed = true;
    this.#hub.close('The embedded cache server was closed.');
    this.#texts.close('The embedded cache server was closed.');
    this.#entries.close();
    this.#fields.close();
  }

  /** Forgets a key as if its time were up: nothing is published. */
  expire(key: string): void {
    this.#entries.expire(key);
    this.#fields.expire(key);
  }

  /** Value and version in one step. */
  get(key: string): StoredEntry | undefined {
    return this.#entries.get(key);
  }

  /** See {@link CacheStore.set}. */
  set(write: StoreWrite, leaseToken?: string): SetReply {
    return this.#entries.set(write, leaseToken);
  }

  /** See {@link CacheStore.setAll}. */
  setAll(writes: readonly StoreWrite[]): readonly SetAllReply[] {
    return this.#entries.setAll(writes);
  }

  /** See {@link CacheStore.refresh}. */
  refresh(write: StoreRefresh): ChangeReply {
    return this.#entries.refresh(write);
  }

  /** See {@link CacheStore.invalidate}. */
  invalidate(key: string, version: GivenVersion, origin: StoreOrigin, tombstoneTtlMs: number): ChangeReply {
    return this.#entries.invalidate(key, version, origin, tombstoneTtlMs);
  }

  /** See {@link CacheStore.evict}. */
  evict(key: string, origin: StoreOrigin): void {
    this.#entries.evict(key, origin);
  }

  /** See {@link CacheStore.getOrLease}. */
  getOrLease(key: string, token: string, leaseMs: number, withinMs?: number): LeaseReply {
    return this.#entries.getOrLease(key, token, leaseMs, withinMs);
  }

  /** See {@link CacheStore.renewLease}. */
  renewLease(key: string, token: string, leaseMs: number): boolean {
    return this.#entries.renewLease(key, token, leaseMs);
  }

  /** See {@link CacheStore.releaseLease}. */
  releaseLease(key: string, token: string, origin: StoreOrigin): void {
    this.#entries.releaseLease(key, token, origin);
  }

  /** See {@link CacheStore.stamp}. */
  stamp(key: string, ttlMs: number): EntryVersion {
    return this.#entries.stamp(key, ttlMs);
  }

  /** See {@link CacheStore.sweep}. */
  sweep(request: SweepRequest, cursor?: string): SweepReply {
    return this.#entries.sweep(request, cursor);
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

  #checkOpen(): void {
    if (this.#closed) {
      throw new Error('The embedded cache server is closed.');
    }
  }
}
