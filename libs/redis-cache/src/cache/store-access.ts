import { checkCacheKey } from '../namespace/cache-key.js';
import type {
  ChangeOutcome,
  ChangeReply,
  GivenVersion,
  SetAllReply,
  SetOutcome,
  SetReply,
  StoredEntry,
} from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';
import type { CacheHit } from './cache-hit.js';
import type { CacheParts } from './cache.parts.js';
import { countSent } from './cache.stats.js';
import { type DecodedValue, type EncodedValue, isUsable, type UsableEntry } from './entry.codec.js';
import type { EntryLives } from './entry-lives.js';
import { checkEntryOptions, type EntryOptions } from './entry-options.js';
import { fillFirstLevel, storedLives, storeWrite } from './filling.js';
import type { Flight } from './local-view.js';
import { WHOLE_NAMESPACE } from './tags/tag-book.js';
import type { TagStamp } from './tags/tag-stamp.js';

/** One of several values to store. */
export interface WriteOf<T> extends EntryOptions {
  readonly key: string;
  readonly value: T | undefined;
  readonly version: GivenVersion;
}

/** Requests to the second level, with what the replica learns from their replies. Keys are checked here. */
export class StoreAccess<T> {
  constructor(private readonly parts: CacheParts<T>) {}

  /** What the store holds for the key. */
  async read(key: string): Promise<CacheHit<T> | undefined> {
    const { view, reads, names } = this.parts;
    checkCacheKey(key);
    const flight = view.begin(key);
    try {
      const hit = this.#hitOf(flight, await reads.get(names.stored(key)));
      return hit instanceof Promise ? await hit : hit;
    } finally {
      view.end(flight);
    }
  }

  /** What the store holds for many keys, in one question; the answer is aligned with them. */
  async readMany(keys: readonly string[]): Promise<readonly (CacheHit<T> | undefined)[]> {
    const { view, store, names } = this.parts;
    keys.forEach((key) => checkCacheKey(key));
    const flights = keys.map((key) => view.begin(key));
    try {
      const entries = await store.getMany(keys.map((key) => names.stored(key)));
      return await Promise.all(flights.map(async (flight, index) => this.#hitOf(flight, entries[index])));
    } finally {
      flights.forEach((flight) => view.end(flight));
    }
  }

  /** A promise only where tags have to be looked at: this is the way of every hit of the second level. */
  #hitOf(flight: Flight, entry: StoredEntry | undefined): CacheHit<T> | undefined | Promise<CacheHit<T> | undefined> {
    const { stats, codec } = this.parts;
    this.#learnFrom(flight, entry);
    const decoded = isUsable(entry) && codec.decode(entry);
    if (!isUsable(entry) || decoded === false) {
      stats.misses++;
      stats.undecodable += isUsable(entry) ? 1 : 0;
      return undefined;
    }
    return decoded.tags === undefined
      ? this.#show(flight, entry, decoded)
      : this.#showIfTagged(flight, entry, decoded, decoded.tags);
  }

  async #showIfTagged(
    flight: Flight,
    entry: UsableEntry,
    decoded: DecodedValue<T>,
    stamps: readonly TagStamp[],
  ): Promise<CacheHit<T> | undefined> {
    if (await this.parts.tags.check(stamps)) {
      return this.#show(flight, entry, decoded);
    }
    this.parts.stats.misses++;
    return undefined;
  }

  #show(flight: Flight, { version, ttlMs }: UsableEntry, decoded: DecodedValue<T>): CacheHit<T> {
    const { stats } = this.parts;
    const { value, bytes, tags } = decoded;
    const found = { shown: decoded, negative: value === undefined, version, ttlMs, bytes, tags };
    fillFirstLevel(this.parts, flight, found, {});
    stats.l2Hits++;
    stats.negativeHits += value === undefined ? 1 : 0;
    return { value, version, level: 'l2', stale: false };
  }

  /** A set without a lease. */
  async write(key: string, value: T | undefined, version: GivenVersion, options: EntryOptions): Promise<SetOutcome> {
    const { view, store, names, origin, codec, namespace } = this.parts;
    checkCacheKey(key);
    checkEntryOptions('VersionedCache.set', namespace, options);
    const encoded = codec.encode(value, namespace.tagged ? await this.tagsOf(options) : undefined);
    const lives = storedLives(this.parts, value, options);
    const flight = view.begin(key);
    try {
      const reply = await store.set(storeWrite(origin, names.stored(key), version, encoded.payload, lives));
      this.#settle(flight, reply, version, options, encoded, lives.ttlMs);
      return reply.outcome;
    } finally {
      view.end(flight);
    }
  }

  /** Sets without a lease, all or none. */
  async writeAll(entries: readonly WriteOf<T>[]): Promise<readonly SetAllReply[]> {
    const { view, store, names, origin, codec } = this.parts;
    const writes = await Promise.all(
      entries.map(async (entry) => {
        const encoded = codec.encode(entry.value, await this.tagsOf(entry));
        const lives = storedLives(this.parts, entry.value, entry);
        const write = storeWrite(origin, names.stored(entry.key), entry.version, encoded.payload, lives);
        return { entry, encoded, lives, write };
      }),
    );
    const flights = writes.map(({ entry }) => view.begin(entry.key));
    try {
      const replies = await store.setAll(writes.map(({ write }) => write));
      writes.forEach(({ entry, encoded, lives }, index) => {
        const [flight, reply] = [flights[index], replies[index]];
        if (flight !== undefined && reply !== undefined) {
          this.#settle(flight, reply, entry.version, entry, encoded, lives.ttlMs);
        }
      });
      return replies;
    } finally {
      flights.forEach((flight) => view.end(flight));
    }
  }

  /** What a reply to a set teaches. */
  #settle(
    flight: Flight,
    { outcome, current }: SetReply | SetAllReply,
    given: GivenVersion,
    lives: EntryLives,
    encoded: EncodedValue<T>,
    ttlMs: number,
  ): void {
    const { view, stats } = this.parts;
    const version = given === 'next' ? stampOf(current) : given;
    if (outcome !== 'applied') {
      stats.declined++;
      this.#learnFrom(flight, current);
      return;
    }
    stats.applied++;
    this.parts.onStored(encoded.bytes);
    if (isUsable(current) && current.version.compare(version) > 0) {
      // A hash keeps fields that are newer: what stands is above what was given, and is not what was given.
      this.#learnFrom(flight, current);
      return;
    }
    // Store first, then the own first level; a stamp learned meanwhile wins.
    view.learn(flight.key, version, flight);
    const { shown, bytes, tags, negative } = encoded;
    fillFirstLevel(this.parts, flight, { shown, bytes, tags, negative, version, ttlMs }, lives);
  }

  /** The versions of an entry's tags, before what it holds is stored. */
  async tagsOf({ tags = [] }: EntryOptions): Promise<readonly TagStamp[]> {
    const { namespace, tags: book } = this.parts;
    return namespace.tagged ? await book.read([WHOLE_NAMESPACE, ...tags]) : [];
  }

  /** A change, sent by `send`. */
  async change(
    action: 'refresh' | 'invalidate',
    key: string,
    version: GivenVersion,
    send: (storedKey: string) => Promise<ChangeReply>,
  ): Promise<ChangeOutcome> {
    const { view, names, stats } = this.parts;
    checkCacheKey(key);
    countSent(stats, action);
    const given = version === 'next' ? EntryVersion.ZERO : version;
    if (version === 'next') {
      // Whatever it will be, it is above what anybody has: nothing of before is shown from here on.
      view.evict(key);
    }
    view.learn(key, given);
    const reply = await send(names.stored(key));
    // Again at the reply: a read that began in between may carry what was there before, and the own message may come later.
    view.learn(key, reply.version === undefined ? given : EntryVersion.max(given, reply.version));
    return reply.outcome;
  }

  /** The tag gets another version. */
  async invalidateTag(tag: string): Promise<void> {
    const { view, tags, names, origin, store, stats } = this.parts;
    countSent(stats, 'tag');
    stats.tagsInvalidated++;
    // Before the reply nobody knows its version, so that nothing is shown for it without asking.
    tags.forget(tag);
    view.takeOutAll();
    const { version } = await store.invalidate(names.tag(tag), 'next', { ...origin, synced: false }, tags.lifeMs);
    tags.forget(tag);
    view.takeOutAll();
    if (version !== undefined) {
      tags.learn(tag, version);
    }
  }

  /** The key becomes absent. */
  async evict(key: string): Promise<void> {
    const { view, store, origin, names, stats } = this.parts;
    checkCacheKey(key);
    countSent(stats, 'evict');
    view.evict(key);
    await store.evict(names.stored(key), origin);
    // Again: a read that began in between may carry what was there before.
    view.evict(key);
  }

  /** Whatever stamp a reply carries acts like a message. */
  #learnFrom(flight: Flight, entry: StoredEntry | undefined): void {
    if (entry === undefined) {
      return;
    }
    this.parts.view.learn(flight.key, stampOf(entry), isUsable(entry) ? flight : undefined);
  }
}

/** The version of an entry, or the floor of a lease. */
export function stampOf(entry: StoredEntry | undefined): EntryVersion {
  if (entry === undefined) {
    return EntryVersion.ZERO;
  }
  return entry.kind === 'lease' ? entry.floor : entry.version;
}
