import { checkCacheKey } from '../namespace/cache-key.js';
import type { ChangeOutcome, ChangeReply, SetOutcome, StoredEntry } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';
import type { CacheHit } from './cache-hit.js';
import type { CacheParts } from './cache.parts.js';
import { isUsable } from './entry.codec.js';
import type { EntryLives } from './entry-lives.js';
import { fillFirstLevel, storedTtlMs } from './filling.js';
import type { Flight } from './local-view.js';

/** Requests to the second level, with what the replica learns from their replies. Keys are checked here. */
export class StoreAccess<T> {
  constructor(private readonly parts: CacheParts<T>) {}

  /** What the store holds for the key. */
  async read(key: string): Promise<CacheHit<T> | undefined> {
    const { view, reads, names } = this.parts;
    checkCacheKey(key);
    const flight = view.begin(key);
    try {
      return this.#hitOf(flight, await reads.get(names.stored(key)));
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
      return flights.map((flight, index) => this.#hitOf(flight, entries[index]));
    } finally {
      flights.forEach((flight) => view.end(flight));
    }
  }

  #hitOf(flight: Flight, entry: StoredEntry | undefined): CacheHit<T> | undefined {
    const { stats, codec } = this.parts;
    this.#learnFrom(flight, entry);
    const decoded = isUsable(entry) && codec.decode(entry);
    if (!isUsable(entry) || decoded === false) {
      stats.misses++;
      stats.undecodable += isUsable(entry) ? 1 : 0;
      return undefined;
    }
    const { version, ttlMs } = entry;
    const { value, bytes } = decoded;
    fillFirstLevel(this.parts, flight, { shown: decoded, negative: value === undefined, version, ttlMs, bytes }, {});
    stats.l2Hits++;
    stats.negativeHits += value === undefined ? 1 : 0;
    return { value, version, level: 'l2', stale: false };
  }

  /** A set without a lease. */
  async write(key: string, value: T | undefined, version: EntryVersion, lives: EntryLives): Promise<SetOutcome> {
    const { view, store, names, origin, codec, stats } = this.parts;
    checkCacheKey(key);
    const { payload, bytes, shown } = codec.encode(value);
    const ttlMs = storedTtlMs(this.parts, payload, lives);
    const flight = view.begin(key);
    try {
      const write = { ...origin, key: names.stored(key), version, payload, ttlMs };
      const { outcome, current } = await store.set(write);
      if (outcome === 'applied') {
        stats.applied++;
        // Store first, then the own first level; a stamp learned meanwhile wins.
        view.learn(key, version, flight);
        fillFirstLevel(this.parts, flight, { shown, negative: payload === null, version, ttlMs, bytes }, lives);
      } else {
        stats.declined++;
        this.#learnFrom(flight, current);
      }
      return outcome;
    } finally {
      view.end(flight);
    }
  }

  /** A change, sent by `send`. */
  async change(
    key: string,
    version: EntryVersion,
    send: (storedKey: string) => Promise<ChangeReply>,
  ): Promise<ChangeOutcome> {
    const { view, names, stats } = this.parts;
    checkCacheKey(key);
    stats.changesSent++;
    view.learn(key, version);
    const reply = await send(names.stored(key));
    // Again at the reply: a read that began in between may carry what was there before, and the own message may come later.
    view.learn(key, reply.version === undefined ? version : EntryVersion.max(version, reply.version));
    return reply.outcome;
  }

  /** The key becomes absent. */
  async evict(key: string): Promise<void> {
    const { view, store, origin, names, stats } = this.parts;
    checkCacheKey(key);
    stats.changesSent++;
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
    const version = entry.kind === 'lease' ? entry.floor : entry.version;
    this.parts.view.learn(flight.key, version, isUsable(entry) ? flight : undefined);
  }
}
