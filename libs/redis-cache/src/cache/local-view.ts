import { EntryVersion } from '../version/entry-version.js';
import type { CacheHit } from './cache-hit.js';
import type { FlushReason } from './cache.stats.js';
import { FirstLevel, type FirstLevelBounds, type FirstLevelEntry } from './first-level.js';

/** A read or load under way: what was learned about its key since it began. */
export interface Flight {
  readonly key: string;
  /** The highest stamp learned while it runs; below it, it fills nothing. */
  floor: EntryVersion;
  /** This replica showed content stamped `floor` from elsewhere: this flight's own content of that stamp may be older. */
  exclusive: boolean;
  /** `false` after an eviction: it has no stamp, so nothing read before it may stay. */
  mayFill: boolean;
  readonly generation: number;
}

/** What a {@link LocalView} counted. */
export interface LocalViewCounts {
  readonly entries: number;
  readonly bytes: number;
  readonly flushes: number;
  readonly flushReasons: Readonly<Record<FlushReason, number>>;
  readonly evictions: number;
  readonly takenOut: number;
}

/** A load that later callers of the same process may join. */
export interface SharedLoad<T> {
  readonly flight: Flight;
  /** The stamp of the loader's value, once it is known. */
  stamp: EntryVersion | undefined;
  answer: Promise<CacheHit<T>> | undefined;
  /** It has taken longer than callers wait: what is kept at the moment, for whoever joins now. */
  meanwhile: (() => CacheHit<T> | undefined) | undefined;
}

/**
 * What one replica believes: its first level, its reads and loads in flight, and whether it may trust them. All rules about what
 * a replica learns are here; nothing here waits.
 *
 * **Every stamp learned acts like a message**: the first level below it is dropped, other flights fill only at or above it, and a load
 * with a lower stamp is joined by nobody any more.
 */
export class LocalView<T> {
  readonly #entries: FirstLevel<T>;
  // Nearly always one, and a set for it would cost more than the rest of a read.
  readonly #flights = new Map<string, Flight | Set<Flight>>();
  readonly #loads = new Map<string, SharedLoad<T>>();
  #generation = 0;
  readonly #flushes: Record<FlushReason, number> = { start: 0, distrust: 0, sweep: 0, close: 0 };
  #started = false;
  #takenOut = 0;
  #untrustedSinceMs: number | undefined = 0;

  constructor(bounds: FirstLevelBounds) {
    this.#entries = new FirstLevel(bounds);
  }

  /** Entries and bytes of the first level, flushes and evictions of it, loads taken out. */
  get counts(): LocalViewCounts {
    return {
      entries: this.#entries.size,
      bytes: this.#entries.bytes,
      flushes: this.#generation,
      flushReasons: { ...this.#flushes },
      evictions: this.#entries.evictions,
      takenOut: this.#takenOut,
    };
  }

  /** Since when messages may have been lost; `undefined` = the replica is trusted. */
  get untrustedSinceMs(): number | undefined {
    return this.#untrustedSinceMs;
  }

  /** A live entry of the first level; whether it may be shown is the caller's question. */
  entry(key: string, nowMs: number): FirstLevelEntry<T> | undefined {
    return this.#entries.use(key, nowMs);
  }

  /** An entry that is live or expired not long ago, which nothing that was learned has made old. */
  lastKnown(key: string, nowMs: number): FirstLevelEntry<T> | undefined {
    return this.#entries.lastKnown(key, nowMs);
  }

  /** What the first level holds, without counting as a use. */
  inspect(key: string): FirstLevelEntry<T> | undefined {
    return this.#entries.inspect(key);
  }

  /** Forgets one entry of the first level, as if its time were up. */
  expire(key: string): void {
    this.#entries.drop(key);
  }

  /** A read or load begins. */
  begin(key: string): Flight {
    const flight: Flight = {
      key,
      floor: EntryVersion.ZERO,
      exclusive: false,
      mayFill: true,
      generation: this.#generation,
    };
    const others = this.#flights.get(key);
    if (others === undefined) {
      this.#flights.set(key, flight);
    } else if (others instanceof Set) {
      others.add(flight);
    } else {
      this.#flights.set(key, new Set([others, flight]));
    }
    return flight;
  }

  /** The read or load has ended. */
  end(flight: Flight): void {
    const flights = this.#flights.get(flight.key);
    if (flights instanceof Set) {
      flights.delete(flight);
    }
    if (flights === flight || (flights instanceof Set && flights.size === 0)) {
      this.#flights.delete(flight.key);
    }
  }

  /**
   * A stamp of the key became known: from a message, a reply, or the replica's own commit.
   *
   * @param showing the flight whose content of this stamp this replica is about to show, if that is how it was learned.
   */
  learn(key: string, version: EntryVersion, showing?: Flight): void {
    const entry = this.#entries.inspect(key);
    if (entry !== undefined && entry.version.compare(version) < 0) {
      this.#entries.drop(key);
    }
    const flights = this.#flights.get(key);
    if (flights instanceof Set) {
      for (const flight of flights) {
        this.mark(flight, version, showing);
      }
    } else if (flights !== undefined) {
      this.mark(flights, version, showing);
    }
    const load = this.#loads.get(key);
    if (load !== undefined && load.flight !== showing) {
      this.takeOutIfBehind(load);
    }
  }

  /** An eviction: nothing known or in flight may stay. */
  evict(key: string): void {
    this.#entries.drop(key);
    const flights = this.#flights.get(key) ?? [];
    for (const flight of Symbol.iterator in flights ? flights : [flights]) {
      flight.mayFill = false;
    }
    this.#takeOut(this.#loads.get(key));
  }

  /** Something about the whole namespace was learned that has no version of a key: nobody joins what began before. */
  takeOutAll(): void {
    for (const load of this.#loads.values()) {
      this.#takeOut(load);
    }
  }

  /** Messages may have been lost from now on. */
  distrust(nowMs: number): void {
    this.#untrustedSinceMs ??= nowMs;
  }

  /** The subscription stands (again): everything from before it is dropped, also what is still in flight. */
  trust(): void {
    this.flush(this.#started ? 'distrust' : 'start');
    this.#started = true;
    this.#untrustedSinceMs = undefined;
  }

  /** Drops the first level; what is in flight never fills it. */
  flush(reason: FlushReason): void {
    this.#generation++;
    this.#flushes[reason]++;
    this.#entries.clear();
    this.#loads.clear();
  }

  /** Whether this flight's content of `version` may be shown to callers that joined after the latest stamp was learned. */
  accepts(flight: Flight, version: EntryVersion): boolean {
    const order = version.compare(flight.floor);
    return order > 0 || (order === 0 && !flight.exclusive);
  }

  /** Whether what a flight met at `version` is still the latest that is known of its key: nothing was learned, evicted or flushed. */
  stillHolds(flight: Flight, version: EntryVersion): boolean {
    return flight.mayFill && !this.begunBeforeFlush(flight) && this.accepts(flight, version);
  }

  /** A new request goes out for the flight: what comes back is not older than what was shown up to now. */
  asksAgain(flight: Flight): void {
    flight.exclusive = false;
  }

  /** Keeps what a flight brought, unless something newer was learned meanwhile. */
  fill(flight: Flight, entry: FirstLevelEntry<T>): void {
    if (this.mayFill(flight, entry.version)) {
      this.#entries.put(flight.key, entry);
    }
  }

  /** The load that a caller may join. */
  shared(key: string): SharedLoad<T> | undefined {
    return this.#loads.get(key);
  }

  /** Offers a load to later callers. */
  share(load: SharedLoad<T>): void {
    this.#loads.set(load.flight.key, load);
  }

  /** The load has ended. */
  unshare(load: SharedLoad<T>): void {
    if (this.#loads.get(load.flight.key) === load) {
      this.#loads.delete(load.flight.key);
    }
  }

  /** The loader told its stamp: behind what is known, later callers begin anew. */
  stamp(load: SharedLoad<T>, stamp: EntryVersion): void {
    load.stamp = stamp;
    this.takeOutIfBehind(load);
  }

  /** Rule: what was learned is remembered for everything in flight. */
  protected mark(flight: Flight, version: EntryVersion, showing: Flight | undefined): void {
    const order = version.compare(flight.floor);
    if (order > 0) {
      flight.floor = version;
      flight.exclusive = false;
    }
    if (order >= 0 && showing !== undefined && showing !== flight) {
      flight.exclusive = true;
    }
  }

  /** Rule: nobody joins a load whose stamp is behind what is known. */
  protected takeOutIfBehind(load: SharedLoad<T>): void {
    if (load.stamp !== undefined && !this.accepts(load.flight, load.stamp)) {
      this.#takeOut(load);
    }
  }

  /** Whether what a flight brought may stay in the first level. */
  protected mayFill(flight: Flight, version: EntryVersion): boolean {
    return (
      flight.mayFill &&
      !this.begunBeforeFlush(flight) &&
      this.#untrustedSinceMs === undefined &&
      this.accepts(flight, version) &&
      (this.#entries.inspect(flight.key)?.version.compare(version) ?? -1) <= 0
    );
  }

  /** Rule: what began before the first level was dropped never fills it. */
  protected begunBeforeFlush(flight: Flight): boolean {
    return flight.generation !== this.#generation;
  }

  #takeOut(load: SharedLoad<T> | undefined): void {
    if (load !== undefined && this.#loads.get(load.flight.key) === load) {
      this.#loads.delete(load.flight.key);
      this.#takenOut++;
    }
  }
}
