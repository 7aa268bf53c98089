import { bytesCodec } from '@smartpulse/pulsar';
import { type FaultPoint, injectedFault } from '@smartpulse/pulsar/testing';
import { EntryVersion } from '@smartpulse/redis-cache';
import {
  PromiseStage,
  readStock,
  type StageReplica,
  STOCK,
  STOCK_TOPIC,
  type StockRow,
  stockSync,
} from './promise-stage.js';

const KEYS = 4;

/** How often what fails. */
const FAULTS: { readonly [point in FaultPoint]?: number } = { send: 0.15, afterSend: 0.15, ack: 0.3 };

/** What went against the promise; all empty is the promise. */
export interface HistoryResult {
  /** A reader of a replica saw a key go back. */
  readonly wentBack: readonly string[];
  /** An answer did not reflect a commit at or below its stamp. */
  readonly stampLied: readonly string[];
  /** After everything was delivered, a replica showed something else than the table. */
  readonly wrongAtRest: readonly string[];
  /** Reads that failed for another reason than their own loader. */
  readonly failedReads: readonly string[];
  readonly reads: number;
  /** Answers that said themselves that they stand outside of the promise. */
  readonly stale: number;
  readonly failedLoads: number;
  /** Old messages that were sent again. */
  readonly replays: number;
  readonly timersLeft: number;
  /** Commit to cache, as the applying replica measured it. */
  readonly lagP99Ms: number | null;
}

/**
 * One random history of two replicas: rows are written and deleted; messages are published late, twice, out of order and redelivered;
 * loads fail or dawdle; the store fails, dawdles and loses answers; the backplane is cut and mended. Readers read all along.
 */
export class ReaderHistory {
  readonly #stage: PromiseStage;
  readonly #commits = new Map<number, { readonly version: bigint; readonly level: number | undefined }[]>();
  readonly #seen = new Map<string, EntryVersion>();
  readonly #readers = new Set<Promise<void>>();
  readonly #result = {
    wentBack: [] as string[],
    stampLied: [] as string[],
    wrongAtRest: [] as string[],
    failedReads: [] as string[],
    reads: 0,
    stale: 0,
    failedLoads: 0,
    replays: 0,
  };
  #replicas: readonly StageReplica[] = [];

  constructor(seed: number) {
    this.#stage = new PromiseStage(seed);
  }

  async run(steps: number): Promise<HistoryResult> {
    const stage = this.#stage;
    await stage.watch();
    const first = await stage.start({ roles: ['publish', 'apply'], tracker: { minIntervalMs: 5, maxIntervalMs: 50 } });
    this.#replicas = [first, await stage.start({ roles: ['apply'] })];
    this.#makeUnreliable();
    for (let step = 0; step < steps; step++) {
      this.#step();
      await stage.clock.advance(stage.random.int(20));
    }
    this.#mend();
    await stage.drive(Promise.all(this.#readers));
    await stage.quiet(...this.#replicas);
    await this.#compareAtRest();
    const [sync] = first.dataSync.stats().syncs;
    return { ...this.#result, lagP99Ms: sync?.lag?.p99Ms ?? null, timersLeft: await stage.close() };
  }

  #step(): void {
    const { random } = this.#stage;
    const chance = random.next();
    if (chance < 0.25) {
      this.#write(random.int(KEYS), random.next() < 0.2);
    } else if (chance < 0.35) {
      this.#replay();
    } else if (chance < 0.42) {
      this.#changeWeather();
    } else {
      this.#read(random.int(2), random.int(KEYS));
    }
  }

  #write(id: number, deletes: boolean): void {
    const stage = this.#stage;
    const existed = stage.source.rows(STOCK).has(stage.source.keyOf(STOCK, { id }));
    const version = deletes ? stage.remove(id) : stage.commit(id);
    if (deletes && !existed) {
      return;
    }
    const row = stage.source.rows(STOCK).get(stage.source.keyOf(STOCK, { id }));
    const commits = this.#commits.get(id) ?? [];
    commits.push({ version, level: row === undefined ? undefined : Number(row['level']) });
    this.#commits.set(id, commits);
    // A writer's own invalidation, now and then: it may fail, the tracker makes good for it.
    if (stage.random.next() < 0.5) {
      this.#inBackground(this.#replica(stage.random.int(2)).dataSync.committed(stockSync, [{ id }]));
    }
  }

  /** Sends a message of the past once more, word for word. */
  #replay(): void {
    const { messages, random } = this.#stage;
    const message = messages[random.int(Math.max(1, messages.length))];
    if (message === undefined) {
      return;
    }
    this.#result.replays += 1;
    this.#inBackground(
      this.#replica(0).publisher.publish('stock-changes', message.payload, {
        codec: bytesCodec,
        properties: message.properties,
        ...(message.key === undefined ? {} : { key: message.key }),
      }),
    );
  }

  #changeWeather(): void {
    const { random } = this.#stage;
    const { store, bus } = this.#replica(random.int(2));
    const kinds = [
      { kind: 'fine' },
      { kind: 'fine' },
      { kind: 'failing' },
      { kind: 'answerLost' },
      { kind: 'slow', delayMs: 1 + random.int(60) },
    ] as const;
    store.weather = kinds[random.int(kinds.length)] ?? { kind: 'fine' };
    if (random.next() < 0.3) {
      bus.cut();
    } else {
      bus.mend();
    }
  }

  #read(place: number, id: number): void {
    const { random, clock } = this.#stage;
    const { cache, app } = this.#replica(place);
    // What this reader has seen before it asks: an answer on its way may be overtaken by a later one.
    const name = `replica ${place}, key ${id}`;
    const before = this.#seen.get(name) ?? EntryVersion.ZERO;
    const load = async () => {
      const read = await readStock(app, id);
      await clock.sleep(random.int(40));
      if (random.next() < 0.2) {
        this.#result.failedLoads += 1;
        throw new LoadFailure();
      }
      return read;
    };
    const reading = cache.getOrLoad(String(id), load).then(
      ({ value, version, stale }) => {
        this.#result.reads += 1;
        this.#checkStamp(id, value, version);
        if (stale) {
          this.#result.stale += 1;
          return;
        }
        if (version.compare(before) < 0) {
          this.#result.wentBack.push(`${name}: ${before.version} → ${version.version}`);
        }
        this.#seen.set(name, EntryVersion.max(this.#seen.get(name) ?? EntryVersion.ZERO, version));
      },
      (error: unknown) => {
        if (!(error instanceof LoadFailure)) {
          this.#result.failedReads.push(`${name}: ${String(error)}`);
        }
      },
    );
    this.#inBackground(reading);
  }

  /** The row at the stamp, or at a later commit: never one that a commit at or below the stamp has replaced. */
  #checkStamp(id: number, value: StockRow | undefined, stamp: EntryVersion): void {
    const commits = this.#commits.get(id) ?? [];
    const newest = commits.findLastIndex(({ version }) => version <= stamp.version);
    const allowed = commits.slice(Math.max(0, newest)).map(({ level }) => level);
    if (newest < 0) {
      allowed.push(undefined);
    }
    if (!allowed.includes(value?.level)) {
      this.#result.stampLied.push(`key ${id} at ${stamp.version}: level ${value?.level}`);
    }
  }

  async #compareAtRest(): Promise<void> {
    const { source } = this.#stage;
    for (const [place, { cache, app }] of this.#replicas.entries()) {
      for (let id = 0; id < KEYS; id++) {
        const hit = await this.#stage.drive(cache.getOrLoad(String(id), () => readStock(app, id)));
        const row = source.rows(STOCK).get(source.keyOf(STOCK, { id }));
        if (hit.value?.level !== row?.['level'] || hit.stale) {
          this.#result.wrongAtRest.push(
            `replica ${place}, key ${id}: ${hit.value?.level} for ${String(row?.['level'])}`,
          );
        }
      }
    }
  }

  /** Sends and acknowledgements fail at random from now on, so messages come late, twice, and after newer ones. */
  #makeUnreliable(): void {
    const { random } = this.#stage;
    for (const { transport } of this.#replicas) {
      transport.plan = ({ point, topic }) => {
        const strikes = topic === STOCK_TOPIC && random.next() < (FAULTS[point] ?? 0);
        return strikes ? injectedFault(topic, { ambiguous: point === 'afterSend' }) : undefined;
      };
    }
  }

  #mend(): void {
    for (const { transport, store, bus } of this.#replicas) {
      transport.plan = () => undefined;
      store.weather = { kind: 'fine' };
      bus.mend();
    }
  }

  #replica(place: number): StageReplica {
    const replica = this.#replicas[place];
    if (replica === undefined) {
      throw new Error(`There is no replica ${place}.`);
    }
    return replica;
  }

  /** What fails here was made to fail, and is made good for; what must not fail is written down where it happens. */
  #inBackground(work: Promise<unknown>): void {
    const running = work
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => this.#readers.delete(running));
    this.#readers.add(running);
  }
}

class LoadFailure extends Error {}
