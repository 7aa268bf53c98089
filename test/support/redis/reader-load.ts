import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, SystemRandom } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { onTestFailed } from 'vitest';
import { CacheStoreUnavailableError, EntryVersion, type Loaded, type VersionedCache } from '@smartpulse/redis-cache';

/** A table whose rows and stamps only grow. */
class GrowingTable {
  readonly #rows = new Map<string, { value: string; version: bigint }>();
  #at = 0n;

  constructor(
    private readonly padding: string,
    private readonly random: Random,
  ) {}

  commit(key: string): { value: string; version: EntryVersion } {
    this.#at += 1n;
    const row = { value: `${this.#at} ${this.padding}`, version: this.#at };
    this.#rows.set(key, row);
    return { value: row.value, version: new EntryVersion(1n, row.version) };
  }

  read(key: string): string | undefined {
    return this.#rows.get(key)?.value;
  }

  /** The stamp first, the data a moment later. */
  async load(key: string): Promise<Loaded<string>> {
    const version = new EntryVersion(1n, this.#at);
    await sleep(this.random.next() * 3);
    return { value: this.read(key), version };
  }
}

/** What was seen; the first three are empty where the promise was kept. */
export interface LoadReport {
  /** On one replica a reader was shown less than one before it had been shown, without being told that it is stale. */
  readonly wentBack: readonly string[];
  /** On the replica that applied a change, a reader that began later was shown less. */
  readonly missedOwn: readonly string[];
  /** Errors of another kind than that the store is away. */
  readonly errors: readonly string[];
  readonly reads: number;
  /** Answers that said themselves that they stand outside of the promise. */
  readonly stale: number;
  readonly changes: number;
}

const READERS = 6;
const RETRY_MS = 20;

/**
 * Readers and writers on several replicas of a cache, as hard as one process can. Each draws from a sequence of its own; a test that fails prints the seed of them
 * all, and `READER_LOAD_SEED` gives it again.
 */
export class ReaderLoad {
  readonly #table: GrowingTable;
  readonly #floors = new Map<string, EntryVersion>();
  readonly #report = {
    wentBack: [] as string[],
    missedOwn: [] as string[],
    errors: [] as string[],
    reads: 0,
    stale: 0,
    changes: 0,
  };
  readonly #loops: Promise<void>[] = [];
  readonly #keys: readonly string[];
  readonly #seed = Number(process.env['READER_LOAD_SEED'] ?? new SystemRandom().int(2 ** 31));
  #running = true;

  /** @param options.payloadBytes about the size of a value. */
  constructor(
    private readonly replicas: readonly VersionedCache<string>[],
    options: { readonly keys: number | readonly string[]; readonly payloadBytes?: number },
  ) {
    this.#keys =
      typeof options.keys === 'number' ? Array.from({ length: options.keys }, (_, at) => `k${at}`) : options.keys;
    onTestFailed(() => console.error(`The load was drawn with READER_LOAD_SEED=${this.#seed}`));
    this.#table = new GrowingTable('x'.repeat(options.payloadBytes ?? 1), new SeededRandom(this.#seed));
    for (const key of this.#keys) {
      this.#table.commit(key);
    }
    for (const place of this.replicas.keys()) {
      for (let reader = 0; reader < READERS; reader++) {
        this.#loops.push(this.#read(place, this.#newRandom()));
      }
      this.#loops.push(this.#write(place, this.#newRandom()));
    }
  }

  get reads(): number {
    return this.#report.reads;
  }

  get stale(): number {
    return this.#report.stale;
  }

  /** Ends it when every change has been applied, and answers what was seen. */
  async stop(): Promise<LoadReport> {
    this.#running = false;
    await Promise.all(this.#loops);
    return this.#report;
  }

  /** What a replica shows of each key where that is not what the table holds; empty once the last messages have arrived. */
  async wrongAtRest(): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const [place, cache] of this.replicas.entries()) {
      for (const key of this.#keys) {
        const hit = await cache.getOrLoad(key, () => this.#table.load(key));
        if (hit.stale || hit.value !== this.#table.read(key)) {
          const found = `${hit.value?.slice(0, 12)} at ${hit.version.version} of ${hit.level}`;
          wrong.push(`replica ${place}, ${key}: ${found}, stale ${hit.stale}; ${this.#table.read(key)?.slice(0, 12)}`);
        }
      }
    }
    return wrong;
  }

  #newRandom(): Random {
    return new SeededRandom(this.#seed + 1 + this.#loops.length);
  }

  async #read(place: number, random: Random): Promise<void> {
    const report = this.#report;
    const cache = this.#replica(place);
    while (this.#running) {
      const key = this.#anyKey(random);
      const seen = this.#floors.get(`seen ${place} ${key}`) ?? EntryVersion.ZERO;
      const own = this.#floors.get(`own ${place} ${key}`) ?? EntryVersion.ZERO;
      try {
        const { version, stale } = await cache.getOrLoad(key, () => this.#table.load(key));
        report.reads += 1;
        if (stale) {
          report.stale += 1;
        } else {
          if (version.compare(seen) < 0) {
            report.wentBack.push(`replica ${place}, ${key}: ${seen.version} → ${version.version}`);
          }
          if (version.compare(own) < 0) {
            report.missedOwn.push(`replica ${place}, ${key}: ${version.version} after ${own.version}`);
          }
          this.#raise(`seen ${place} ${key}`, version);
        }
      } catch (error) {
        this.#report.errors.push(String(error));
      }
      await sleep(random.next() * 2);
    }
  }

  async #write(place: number, random: Random): Promise<void> {
    const cache = this.#replica(place);
    while (this.#running) {
      const key = this.#anyKey(random);
      const { value, version } = this.#table.commit(key);
      const refreshes = random.next() < 0.5;
      for (;;) {
        try {
          await (refreshes ? cache.refresh(key, value, version) : cache.invalidate(key, version));
          break;
        } catch (error) {
          if (!CacheStoreUnavailableError.is(error)) {
            this.#report.errors.push(String(error));
            break;
          }
          await sleep(RETRY_MS);
        }
      }
      this.#report.changes += 1;
      this.#raise(`own ${place} ${key}`, version);
      await sleep(random.next() * 6);
    }
  }

  #raise(what: string, version: EntryVersion): void {
    this.#floors.set(what, EntryVersion.max(this.#floors.get(what) ?? EntryVersion.ZERO, version));
  }

  #anyKey(random: Random): string {
    return this.#keys[random.int(this.#keys.length)] ?? '';
  }

  #replica(place: number): VersionedCache<string> {
    const cache = this.replicas[place];
    if (cache === undefined) {
      throw new Error(`There is no replica ${place}.`);
    }
    return cache;
  }
}
