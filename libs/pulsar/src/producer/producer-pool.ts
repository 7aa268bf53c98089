import type { Clock, Random, Timer } from '@smartpulse/resilience';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import type { TransportProducer, TransportProducerOptions } from '../transport/pulsar.transport.js';
import { CreationBackoff } from './creation-backoff.js';

/** How a kind of producer sends; the topic comes with each use. */
export type ProducerProfile = Omit<TransportProducerOptions, 'topic'>;

/** What a {@link ProducerPool} is made of. */
export interface ProducerPoolOptions {
  readonly max: number;
  /** Uses of a topic's producer at once; further ones are refused. */
  readonly maxUses: (topic: string) => number;
  readonly idleMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly create: (options: TransportProducerOptions) => Promise<TransportProducer>;
  /** Told of each producer that is gone, closed or not. */
  readonly onClosed?: (topic: string) => void;
  /** Told of producers that could not be closed; nothing waits for them. */
  readonly onCloseFailed: (topic: string, error: unknown) => void;
}

/** The use of a pooled producer, from {@link ProducerPool.lease} to {@link ProducerPool.release}. */
export interface ProducerLease {
  /** The producer once it is made. */
  readonly producer: TransportProducer | undefined;
  readonly creating: Promise<TransportProducer>;
  /**
   * Calls `go` as soon as the producer is made, before anybody who comes later can see it, or `fail`. Of those who wait, the one with the lowest
   * `turn` goes first: a send that is repeated on a new producer keeps its place, however late it heard that the old one was gone.
   *
   * @returns ends the wait.
   */
  whenMade(turn: number, go: (producer: TransportProducer) => void, fail: (error: unknown) => void): () => void;
}

interface Waiting {
  readonly turn: number;
  readonly go: (producer: TransportProducer) => void;
  readonly fail: (error: unknown) => void;
}

class PoolEntry implements ProducerLease {
  readonly #waiting = new Set<Waiting>();
  producer: TransportProducer | undefined;
  isPooled = true;
  inUse = 0;
  /** Which use of the pool its last one was: the lowest was unused longest. */
  lastUse = 0;
  /** When its last use ended. */
  usedMs = 0;

  constructor(
    readonly key: string,
    readonly topic: string,
    readonly maxUses: number,
    readonly profile: ProducerProfile,
    readonly creating: Promise<TransportProducer>,
  ) {}

  whenMade(turn: number, go: (producer: TransportProducer) => void, fail: (error: unknown) => void): () => void {
    const waiting = { turn, go, fail };
    this.#waiting.add(waiting);
    return () => void this.#waiting.delete(waiting);
  }

  made(producer: TransportProducer): void {
    this.producer = producer;
    for (const waiting of [...this.#waiting].sort((a, b) => a.turn - b.turn)) {
      // One that goes may end the wait of another.
      if (this.#waiting.has(waiting)) {
        waiting.go(producer);
      }
    }
    this.#waiting.clear();
  }

  failed(error: unknown): void {
    for (const { fail } of this.#waiting) {
      fail(error);
    }
    this.#waiting.clear();
  }
}

/**
 * One producer per topic and options. However many ask at once, it is created once; a failed creation is forgotten, so that the next use
 * tries again, after a pause where the broker refused it more than once. Idle producers are closed, the one unused longest makes room, none with sends on their way; closing flushes first.
 */
export class ProducerPool {
  readonly #options: ProducerPoolOptions;
  readonly #entries = new Map<string, PoolEntry>();
  readonly #closing = new Map<string, Promise<void>>();
  readonly #backoff: CreationBackoff;
  readonly #profileKeys = new WeakMap<ProducerProfile, string>();
  /** The same entries by what a use knows of them, so that it need not put a key together. */
  readonly #shortcuts = new WeakMap<ProducerProfile, Map<string, PoolEntry>>();
  #uses = 0;
  #idleTimer: Timer | undefined;
  #closed = false;

  constructor(options: ProducerPoolOptions) {
    this.#options = options;
    this.#backoff = new CreationBackoff(options.clock, options.random, options.max);
  }

  /** Producers in the pool. */
  get size(): number {
    return this.#entries.size;
  }

  /** Sends that are called and not settled, over all producers. */
  get pending(): number {
    let sum = 0;
    for (const entry of this.#entries.values()) {
      sum += entry.inUse;
    }
    return sum;
  }

  /**
   * The topic's producer for one use, which ends with {@link release}. Uses that wait for the creation go on in the order of the calls.
   *
   * @throws PulsarClosedError after close; PulsarError of kind `backpressure` when every producer of a full pool is in use, or the topic's has
   *   all the uses that it may have; what the broker said, when it refused the topic's producer several times and again just now.
   */
  lease(topic: string, profile: ProducerProfile): ProducerLease {
    const entry = this.#entry(topic, profile);
    if (entry.inUse >= entry.maxUses) {
      throw new PulsarError('SMARTPULSE_PULSAR_SENDS_FULL', `${entry.inUse} sends to ${topic} wait already.`, {
        kind: 'backpressure',
        remedy: 'Wait for publishes before calling more of them, or raise producer.maxWaitingMessages.',
        topic,
      });
    }
    entry.inUse++;
    return entry;
  }

  /** The use is over. */
  release(lease: ProducerLease): void {
    // While others use it, it is not idle, and nobody asks since when.
    if (lease instanceof PoolEntry && --lease.inUse === 0) {
      lease.usedMs = this.#options.clock.monotonic();
      this.#armIdle();
    }
  }

  /** Forgets a producer that its transport has given up; the next use makes another one. */
  discard(topic: string, profile: ProducerProfile, producer: TransportProducer): void {
    const entry = this.#entries.get(this.#key(topic, profile));
    if (entry?.producer === producer) {
      this.#evict(entry);
    }
  }

  /** Flushes the producers of a topic, or all. One that cannot be created has nothing to flush: its uses know already. */
  async flush(topic?: string): Promise<void> {
    const entries = [...this.#entries.values()].filter((entry) => topic === undefined || entry.topic === topic);
    await Promise.all(
      entries.map(({ creating }) =>
        creating.then(
          (producer) => producer.flush(),
          () => undefined,
        ),
      ),
    );
  }

  /** Refuses further uses, flushes and closes every producer. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#idleTimer?.cancel();
    this.#idleTimer = undefined;
    for (const entry of this.#entries.values()) {
      this.#evict(entry);
    }
    await Promise.all(this.#closing.values());
  }

  #entry(topic: string, profile: ProducerProfile): PoolEntry {
    if (this.#closed) {
      throw new PulsarClosedError('publisher', topic);
    }
    const known = this.#shortcuts.get(profile)?.get(topic);
    const entry = known?.isPooled === true ? known : this.#find(topic, profile);
    entry.lastUse = ++this.#uses;
    return entry;
  }

  #find(topic: string, profile: ProducerProfile): PoolEntry {
    const key = this.#key(topic, profile);
    const entry = this.#entries.get(key) ?? this.#make(key, topic, profile);
    let shortcuts = this.#shortcuts.get(profile);
    if (shortcuts === undefined || shortcuts.size >= this.#options.max) {
      shortcuts = new Map();
      this.#shortcuts.set(profile, shortcuts);
    }
    shortcuts.set(topic, entry);
    return entry;
  }

  #make(key: string, topic: string, profile: ProducerProfile): PoolEntry {
    const refusal = this.#backoff.refusal(key);
    if (refusal !== undefined) {
      throw refusal;
    }
    this.#makeRoom(topic);
    const creating = this.#create(key, { ...profile, topic });
    const entry = new PoolEntry(key, topic, this.#options.maxUses(topic), profile, creating);
    this.#entries.set(key, entry);
    creating.then(
      (producer) => {
        this.#backoff.made(key);
        entry.made(producer);
      },
      (error: unknown) => {
        // The uses that wait for it are told; the next one tries again.
        this.#forget(entry);
        this.#backoff.failed(key, error);
        entry.failed(error);
      },
    );
    return entry;
  }

  async #create(key: string, options: TransportProducerOptions): Promise<TransportProducer> {
    // A name may be taken by one producer at a time.
    await this.#closing.get(key);
    return this.#options.create(options);
  }

  #makeRoom(topic: string): void {
    if (this.#entries.size < this.#options.max) {
      return;
    }
    let longest: PoolEntry | undefined;
    for (const entry of this.#entries.values()) {
      if (entry.inUse === 0 && (longest === undefined || entry.lastUse < longest.lastUse)) {
        longest = entry;
      }
    }
    if (longest !== undefined) {
      this.#evict(longest);
      return;
    }
    throw new PulsarError(
      'SMARTPULSE_PULSAR_POOL_FULL',
      `All ${this.#options.max} producers have sends on their way.`,
      {
        kind: 'backpressure',
        remedy: 'Publish again later, to fewer topics at a time, or raise producer.poolMax.',
        topic,
      },
    );
  }

  #forget(entry: PoolEntry): void {
    entry.isPooled = false;
    if (this.#entries.get(entry.key) === entry) {
      this.#entries.delete(entry.key);
    }
    const shortcuts = this.#shortcuts.get(entry.profile);
    if (shortcuts?.get(entry.topic) === entry) {
      shortcuts.delete(entry.topic);
    }
  }

  #evict(entry: PoolEntry): void {
    this.#forget(entry);
    const before = this.#closing.get(entry.key) ?? Promise.resolve();
    const closing = before
      .then(() =>
        entry.creating.then(
          (producer) => producer.close().finally(() => this.#options.onClosed?.(entry.topic)),
          // What was never made needs no closing; its uses have been told.
          () => undefined,
        ),
      )
      .catch((error: unknown) => this.#options.onCloseFailed(entry.topic, error))
      .finally(() => {
        if (this.#closing.get(entry.key) === closing) {
          this.#closing.delete(entry.key);
        }
      });
    this.#closing.set(entry.key, closing);
  }

  #armIdle(): void {
    if (this.#idleTimer !== undefined || this.#closed || this.#entries.size === 0) {
      return;
    }
    this.#idleTimer = this.#options.clock.setTimer(this.#options.idleMs, () => this.#closeIdle(), { unref: true });
  }

  #closeIdle(): void {
    this.#idleTimer = undefined;
    const limitMs = this.#options.clock.monotonic() - this.#options.idleMs;
    for (const entry of this.#entries.values()) {
      if (entry.inUse === 0 && entry.usedMs <= limitMs) {
        this.#evict(entry);
      }
    }
    this.#armIdle();
  }

  #key(topic: string, profile: ProducerProfile): string {
    let key = this.#profileKeys.get(profile);
    if (key === undefined) {
      key = stableText(profile);
      this.#profileKeys.set(profile, key);
    }
    return `${topic}\n${key}`;
  }
}

/** The same text for the same data, whatever the order in which it was written. */
function stableText(value: unknown): string {
  if (typeof value !== 'object' || value === null) {
    return String(value);
  }
  const entries = Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, part]) => `${name}:${stableText(part)}`).join(',')}}`;
}
