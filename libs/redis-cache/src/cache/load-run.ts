import { CacheClosedError, CacheOverloadedError, CacheStoreUnavailableError } from '../redis-cache.errors.js';
import type { GivenVersion, KeptValue, LeaseReply, SetReply, StoredEntry } from '../store/cache.store.js';
import { EntryVersion } from '../version/entry-version.js';
import type { CacheHit, Loaded, Loader } from './cache-hit.js';
import type { CacheParts } from './cache.parts.js';
import {
  type DecodedValue,
  type EncodedValue,
  type EntryCodec,
  isTooLarge,
  isUsable,
  type UsableEntry,
} from './entry.codec.js';
import { checkLives } from './entry-lives.js';
import { checkTags, type EntryOptions } from './entry-options.js';
import { fillFirstLevel, storedLives, storeWrite } from './filling.js';
import type { WakeUp } from './key-waiters.js';
import { LeaseRenewal } from './lease-renewal.js';
import { runLoader } from './loader-run.js';
import type { SharedLoad } from './local-view.js';
import { stampOf } from './store-access.js';
import { WHOLE_NAMESPACE } from './tags/tag-book.js';
import type { TagStamp } from './tags/tag-stamp.js';

/** A refused load is repeated this often before its own value is answered. */
const MAX_RELOADS = 3;
/** Entries below what this replica knows are asked for again this often. */
const MAX_REREADS = 3;
const FIRST_POLL_MS = 20;
const MAX_POLL_MS = 1_280;
/** Over a value whatever is left of its life. */
const AT_ONCE_MS = Number.MAX_SAFE_INTEGER;

/** One `getOrLoad` behind the first level: second level, lease, loader, set under the lease, and again where the store refuses. */
export class LoadRun<T> {
  readonly #storedKey: string;
  readonly #giveUpWaitingMs: number;
  #rereads = 0;
  #loaderRuns = 0;
  #polls = 0;
  /** When the lease ends that it waits for, as far as it was told. */
  #waitsUntilMs = Infinity;
  /** The value that stands has tags that were invalidated: it is replaced, and not shown. */
  #outdated = false;
  /** It was read just now: the next question is for the lease. */
  #hasRead = false;
  #kept: { readonly hit: CacheHit<T>; readonly tags: readonly TagStamp[] | undefined } | undefined;

  constructor(
    private readonly parts: CacheParts<T>,
    private readonly load: SharedLoad<T>,
    private readonly loader: Loader<T, GivenVersion>,
    private readonly options: EntryOptions,
  ) {
    this.#storedKey = parts.names.stored(load.flight.key);
    this.#giveUpWaitingMs = parts.clock.monotonic() + parts.namespace.waitTimeoutMs;
  }

  /** A value whose life is over, which the store keeps meanwhile, unless it was learned that it is no more. */
  get kept(): CacheHit<T> | undefined {
    const { view, tags } = this.parts;
    if (this.#kept === undefined || !view.stillHolds(this.load.flight, this.#kept.hit.version)) {
      return undefined;
    }
    return this.#kept.tags !== undefined && tags.holds(this.#kept.tags) !== true ? undefined : this.#kept.hit;
  }

  /** @throws what the loader throws; {@link CacheOverloadedError} while the store is down; {@link CacheClosedError}. */
  async run(): Promise<CacheHit<T>> {
    let entry: StoredEntry | undefined;
    try {
      // Hits never pay for a lease: the first question is a plain read, and nobody has to be woken for its answer.
      entry = await this.#read();
    } catch (error) {
      return await this.#loadInstead(error);
    }
    const taken = isUsable(entry) ? this.#take(entry) : this.#learnFloor(entry);
    let answer = taken instanceof Promise ? await taken : taken;
    while (answer === undefined) {
      // oxlint-disable-next-line no-await-in-loop -- each turn follows from the answer to the one before
      answer = await this.#turn();
    }
    return answer;
  }

  /**
   * Loads a value anew that has no more than so much of its life left, unless somebody else does or has done it.
   *
   * @throws what the loader throws; {@link CacheStoreUnavailableError}
   */
  async refresh(withinMs: number): Promise<void> {
    const { store, view, stats, random, namespace } = this.parts;
    const token = random.id();
    view.asksAgain(this.load.flight);
    const reply = await store.getOrLease(this.#storedKey, token, namespace.leaseMs, withinMs);
    if (reply.kind === 'leased') {
      stats.leasesAcquired++;
      stats.earlyRefreshes++;
      await this.#loadUnderLease(token, reply.floor);
    } else if (reply.kind === 'hit') {
      await this.#take(reply.entry);
    }
  }

  /** One question for the lease and what follows from its answer; nothing = ask again. */
  async #turn(): Promise<CacheHit<T> | undefined> {
    const { closing, namespace, random, waiters } = this.parts;
    if (closing.aborted) {
      throw new CacheClosedError(namespace.name);
    }
    const token = random.id();
    const wakeUp = waiters.listen(this.load.flight.key);
    try {
      let reply: LeaseReply;
      try {
        reply = await this.#ask(token);
      } catch (error) {
        return await this.#loadInstead(error);
      }
      return await this.#answerTo(reply, token, wakeUp);
    } finally {
      wakeUp.end();
    }
  }

  /** The store failed: the source answers. @throws what is no failure of the store. */
  async #loadInstead(error: unknown): Promise<CacheHit<T>> {
    if (!CacheStoreUnavailableError.is(error)) {
      throw error;
    }
    return await this.#loadUnstored();
  }

  #read(): Promise<StoredEntry | undefined> {
    const { reads, view } = this.parts;
    view.asksAgain(this.load.flight);
    return reads.get(this.#storedKey);
  }

  async #ask(token: string): Promise<LeaseReply> {
    const { store, view, namespace } = this.parts;
    const readsFirst = this.#outdated && !this.#hasRead;
    this.#hasRead = false;
    view.asksAgain(this.load.flight);
    if (readsFirst) {
      const entry = await this.#read();
      if (isUsable(entry)) {
        this.#hasRead = true;
        return { kind: 'hit', entry };
      }
      this.#learnFloor(entry);
    }
    return await store.getOrLease(this.#storedKey, token, namespace.leaseMs, this.#withinMs);
  }

  /** How close to its end a value is to be loaded anew. */
  get #withinMs(): number | undefined {
    if (this.#outdated) {
      return AT_ONCE_MS;
    }
    return this.parts.keepsOld ? 0 : undefined;
  }

  async #answerTo(reply: LeaseReply, token: string, wakeUp: WakeUp): Promise<CacheHit<T> | undefined> {
    const { clock, stats } = this.parts;
    if (reply.kind === 'hit') {
      return await this.#take(reply.entry, wakeUp);
    }
    if (reply.kept !== undefined) {
      await this.#keep(reply.kept);
    }
    if (reply.kind === 'leased') {
      stats.leasesAcquired++;
      // Who gives a lease back says so, and whoever waits asks at once.
      stats.leasesExpired += clock.monotonic() >= this.#waitsUntilMs ? 1 : 0;
      this.#waitsUntilMs = Infinity;
      return await this.#loadUnderLease(token, reply.floor);
    }
    stats.leasesWaited++;
    this.#waitsUntilMs = clock.monotonic() + Math.max(1, Math.floor(reply.remainingMs));
    return (await this.#wait(reply.remainingMs, wakeUp)) ? undefined : await this.#loadUnstored();
  }

  /** Shows a stored entry, unless it is below what callers of this load may already have seen. A promise only where more has to be asked. */
  #take(entry: UsableEntry, wakeUp?: WakeUp): CacheHit<T> | undefined | Promise<CacheHit<T> | undefined> {
    const decoded = this.parts.codec.decode(entry);
    if (decoded === false) {
      return this.#replaceUndecodable();
    }
    return decoded.tags === undefined
      ? this.#show(entry, decoded)
      : this.#takeIfTagged(entry, decoded, decoded.tags, wakeUp);
  }

  async #takeIfTagged(
    entry: UsableEntry,
    decoded: DecodedValue<T>,
    stamps: readonly TagStamp[],
    wakeUp: WakeUp | undefined,
  ): Promise<CacheHit<T> | undefined> {
    const holds = await this.#holds(stamps);
    if (holds === 'unknown') {
      return await this.#loadUnstored();
    }
    return holds ? this.#show(entry, decoded) : await this.#passOver(entry, wakeUp);
  }

  #show(entry: UsableEntry, decoded: DecodedValue<T>): CacheHit<T> | undefined {
    const { view, stats } = this.parts;
    const { flight } = this.load;
    this.#outdated = false;
    const accepted = view.accepts(flight, entry.version);
    view.learn(flight.key, entry.version, flight);
    if (!accepted && this.#rereads++ < MAX_REREADS) {
      return undefined;
    }
    // From here on the answer is decided: what is learned before callers see it sends later ones elsewhere.
    view.stamp(this.load, entry.version);
    const { version, ttlMs } = entry;
    const { value, bytes, tags } = decoded;
    const found = { shown: decoded, negative: value === undefined, version, ttlMs, bytes, tags };
    fillFirstLevel(this.parts, flight, found, this.options);
    stats.l2Hits++;
    return { value, version, level: 'l2', stale: !accepted };
  }

  /** `unknown`: the store failed between the entry and its tags. */
  async #holds(tags: readonly TagStamp[]): Promise<boolean | 'unknown'> {
    try {
      return await this.parts.tags.check(tags);
    } catch (error) {
      if (!CacheStoreUnavailableError.is(error)) {
        throw error;
      }
      return 'unknown';
    }
  }

  /** Its tags were invalidated. Who has asked for the lease over it and did not get it waits for the one that did, and then looks whether that one has stored anything. */
  async #passOver(entry: UsableEntry, wakeUp: WakeUp | undefined): Promise<CacheHit<T> | undefined> {
    this.parts.view.learn(this.load.flight.key, entry.version);
    if (!this.#outdated || this.#hasRead || wakeUp === undefined) {
      this.#outdated = true;
      this.#hasRead = true;
      return undefined;
    }
    return (await this.#wait(this.parts.namespace.leaseMs, wakeUp)) ? undefined : await this.#loadUnstored();
  }

  /** A value that stays while it is loaded anew may answer where the load does not. */
  async #keep(entry: KeptValue): Promise<void> {
    const { codec, view } = this.parts;
    const decoded = this.#outdated ? false : codec.decode(entry);
    this.#kept = undefined;
    if (decoded === false) {
      return;
    }
    if (decoded.tags !== undefined && (await this.#holds(decoded.tags)) !== true) {
      return;
    }
    const { version } = entry;
    view.learn(this.load.flight.key, version);
    this.#kept = { hit: { value: decoded.value, version, level: 'l2', stale: true }, tags: decoded.tags };
  }

  /** Another release's text is removed, so that this one may load; while both write, it loads without storing. */
  async #replaceUndecodable(): Promise<CacheHit<T> | undefined> {
    const { stats, store, origin } = this.parts;
    stats.undecodable++;
    try {
      if (this.#rereads++ < MAX_REREADS) {
        await store.evict(this.#storedKey, origin);
        return undefined;
      }
    } catch (error) {
      if (!CacheStoreUnavailableError.is(error)) {
        throw error;
      }
    }
    return await this.#loadUnstored();
  }

  async #loadUnderLease(token: string, floor: EntryVersion): Promise<CacheHit<T> | undefined> {
    const { view } = this.parts;
    view.learn(this.load.flight.key, floor);
    this.load.stamp = undefined;
    const stamps = await this.#tagsNow([WHOLE_NAMESPACE, ...(this.options.tags ?? [])], token);
    if (stamps === undefined) {
      return await this.#loadUnstored();
    }
    const renewal = new LeaseRenewal(this.parts, this.#storedKey, token);
    try {
      const { loaded, encoded } = await this.#loadAndEncode(token, floor, stamps);
      if (encoded === undefined) {
        await this.#release(token);
        const { version } = loaded;
        const { flight } = this.load;
        // Without a version, it is as good as what was known when the lease was given.
        const holds = version === 'next' ? view.stillHolds(flight, floor) : view.accepts(flight, version);
        return this.#own(loaded, loaded.value, !holds);
      }
      return await this.#store(loaded, encoded, token);
    } finally {
      renewal.stop();
    }
  }

  /** The versions of tags before the loader reads anything; nothing: the store failed. */
  async #tagsNow(tags: readonly string[], token: string): Promise<TagStamp[] | undefined> {
    if (!this.parts.namespace.tagged) {
      return [];
    }
    try {
      return [...(await this.parts.tags.read(tags))];
    } catch (error) {
      if (!CacheStoreUnavailableError.is(error)) {
        throw error;
      }
      await this.#release(token);
      return undefined;
    }
  }

  /** `false`: the store failed, so that what is loaded cannot be kept. The loader goes on. */
  async #addTags(stamps: TagStamp[], tags: readonly string[]): Promise<boolean> {
    try {
      stamps.push(...(await this.parts.tags.read(tags)));
      return true;
    } catch (error) {
      if (!CacheStoreUnavailableError.is(error)) {
        throw error;
      }
      return false;
    }
  }

  /** `encoded` undefined: the value cannot be stored. A failure gives the lease back. */
  async #loadAndEncode(
    token: string,
    floor: EntryVersion,
    stamps: TagStamp[],
  ): Promise<{ loaded: Loaded<T, GivenVersion>; encoded: EncodedValue<T> | undefined }> {
    let loaded: Loaded<T, GivenVersion> | undefined;
    try {
      this.#loaderRuns++;
      let isTagged = true;
      loaded = await runLoader(this.parts, this.loader, floor, async (...tags) => {
        checkTags('LoadContext.tag', this.parts.namespace, [...stamps.map(({ tag }) => tag), ...tags].slice(1));
        isTagged = (await this.#addTags(stamps, tags)) && isTagged;
      });
      if (loaded.version !== 'next') {
        this.parts.view.stamp(this.load, loaded.version);
      }
      checkLives('Loader', loaded);
      if (!isTagged) {
        this.parts.stats.unstored++;
        return { loaded, encoded: undefined };
      }
      return { loaded, encoded: this.parts.codec.encode(loaded.value, stamps) };
    } catch (error) {
      if (loaded !== undefined && isTooLarge(error)) {
        this.parts.stats.oversized++;
        return { loaded, encoded: undefined };
      }
      await this.#release(token);
      throw error;
    }
  }

  async #store(
    loaded: Loaded<T, GivenVersion>,
    encoded: EncodedValue<T>,
    token: string,
  ): Promise<CacheHit<T> | undefined> {
    const { view, stats, store, origin } = this.parts;
    const { flight } = this.load;
    const own = { l1TtlMs: loaded.l1TtlMs ?? this.options.l1TtlMs, l2TtlMs: loaded.l2TtlMs ?? this.options.l2TtlMs };
    const lives = storedLives(this.parts, loaded.value, own);
    // Callers may have joined after a newer stamp was learned and before the loader told its own: they are not to get less.
    const wasBehind = loaded.version !== 'next' && !view.accepts(flight, loaded.version);
    let reply: SetReply;
    try {
      reply = await store.set(storeWrite(origin, this.#storedKey, loaded.version, encoded.payload, lives), token);
    } catch (error) {
      if (!CacheStoreUnavailableError.is(error)) {
        throw error;
      }
      stats.unstored++;
      return this.#own(loaded, encoded.shown.value, true);
    }
    if (reply.outcome === 'applied') {
      stats.applied++;
      const version = loaded.version === 'next' ? stampOf(reply.current) : loaded.version;
      // A version of the store's is known only now: what was learned meanwhile may be above it.
      const behind = loaded.version === 'next' ? !view.accepts(flight, version) : wasBehind;
      view.stamp(this.load, version);
      view.learn(flight.key, version, flight);
      this.parts.onStored(encoded.bytes);
      fillFirstLevel(this.parts, flight, { ...encoded, version, ttlMs: lives.ttlMs }, own);
      if (!behind) {
        return this.#own({ ...loaded, version }, encoded.shown.value, false);
      }
    } else {
      stats.refused++;
      if (reply.outcome === 'leaseLost') {
        stats.leasesLost++;
      }
      const winner = await this.#winner(reply);
      if (winner !== undefined) {
        return winner;
      }
    }
    return this.#loaderRuns <= MAX_RELOADS ? undefined : this.#own(loaded, encoded.shown.value, true);
  }

  /** What the store holds instead of the value that it refused. */
  async #winner(reply: SetReply): Promise<CacheHit<T> | undefined> {
    const { view } = this.parts;
    const { current } = reply;
    if (isUsable(current)) {
      return view.accepts(this.load.flight, current.version) ? await this.#take(current) : undefined;
    }
    this.#learnFloor(current);
    return undefined;
  }

  /** A lease or tombstone tells a stamp too, and whatever is learned acts like a message. */
  #learnFloor(entry: StoredEntry | undefined): undefined {
    if (entry !== undefined) {
      this.parts.view.learn(this.load.flight.key, stampOf(entry));
    }
  }

  /** `false`: waited long enough, no lease will come. */
  async #wait(remainingMs: number, wakeUp: WakeUp): Promise<boolean> {
    const { clock, random } = this.parts;
    const leftMs = this.#giveUpWaitingMs - clock.monotonic();
    if (leftMs <= 0) {
      return false;
    }
    const pollMs = Math.min(MAX_POLL_MS, FIRST_POLL_MS * 2 ** this.#polls++) * (0.5 + 0.5 * random.next());
    await wakeUp.wait(Math.max(1, Math.min(pollMs, remainingMs, leftMs)));
    return true;
  }

  /** The store is down, or another lease stands for too long: the source answers, a few at once, and nothing is kept. */
  async #loadUnstored(): Promise<CacheHit<T>> {
    const { gate, stats, codec } = this.parts;
    stats.unstored++;
    try {
      const loaded = await gate.run(() => runLoader(this.parts, this.loader, EntryVersion.ZERO, async () => {}));
      return this.#own(loaded, this.#shown(codec, loaded), true);
    } catch (error) {
      if (CacheOverloadedError.is(error)) {
        stats.overloaded++;
      }
      throw error;
    }
  }

  #shown(codec: EntryCodec<T>, loaded: Loaded<T, GivenVersion>): T | undefined {
    try {
      return codec.encode(loaded.value).shown.value;
    } catch (error) {
      if (isTooLarge(error)) {
        this.parts.stats.oversized++;
        return loaded.value;
      }
      throw error;
    }
  }

  #own({ version }: Loaded<T, GivenVersion>, value: T | undefined, stale: boolean): CacheHit<T> {
    return { value, version: version === 'next' ? EntryVersion.ZERO : version, level: 'source', stale };
  }

  async #release(token: string): Promise<void> {
    const { store, origin } = this.parts;
    try {
      await store.releaseLease(this.#storedKey, token, origin);
    } catch (error) {
      // Counted by the timed store. The lease ends by its own time; what the loader said matters more to the caller.
      if (!CacheStoreUnavailableError.is(error)) {
        throw error;
      }
    }
  }
}
