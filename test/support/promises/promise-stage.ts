import { type INestApplicationContext, Module, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  CdcModule,
  type Checkpoint,
  type CheckpointKey,
  CheckpointStore,
  InProcessPollSignal,
  type Lease,
  Leadership,
  type SaveOutcome,
  type TrackerTuning,
} from '@smartpulse/cdc';
import { InMemoryChangeSource, InMemoryCheckpointStore, InProcessLeadership } from '@smartpulse/cdc/testing';
import {
  DataSync,
  DataSyncModule,
  decodeEnvelope,
  defineChange,
  defineSync,
  DistributedDataSyncService,
  SyncReader,
  type SyncRole,
} from '@smartpulse/data-sync';
import { type InMemorySnapshot, InMemoryStampedReader } from '@smartpulse/data-sync/testing';
import { type IncomingMessage, PulsarModule, PulsarPublisher, type PulsarModuleOptions } from '@smartpulse/pulsar';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { FaultInjectingTransport } from '@smartpulse/pulsar/testing';
import {
  CacheRegistry,
  defineCache,
  type Loaded,
  RedisCacheModule,
  type VersionedCache,
} from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import { LossyInvalidationBus, UnreliableCacheStore } from '@smartpulse/redis-cache/testing';
import { ResilienceModule } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { z } from 'zod';

export const STOCK = 'dbo.stock';
export const STOCK_TOPIC = 'persistent://public/default/stock-changes';

/** A row: `level` differs in every commit, so that it tells which one a reader sees. */
export interface StockRow {
  readonly id: number;
  readonly level: number;
}

export const stockChange = defineChange({
  name: 'stock',
  topic: 'stock-changes',
  primaryKey: ['id'],
  schema: z.object({ id: z.number(), level: z.number() }),
  version: 1,
});

/** Key `-1` cannot be made: such a row is poison. */
export const stockSync = defineSync(stockChange, {
  table: STOCK,
  cache: 'stock',
  shape: 'aggregate',
  key: ({ id }) => {
    if (id === -1) {
      throw new Error('There is no key for that.');
    }
    return String(id);
  },
});

const DAY_MS = 86_400_000;
const MOST_IDLE_TURNS = 100_000;
const stockCache = defineCache<StockRow>({ name: 'stock', synced: true, l1TtlMs: DAY_MS, l2TtlMs: DAY_MS });

/** Positions that can fail, and tell what is saved. */
export class WatchedCheckpointStore extends CheckpointStore {
  override readonly durable = true;
  /** Called before each save; an error refuses it. */
  beforeSave: (checkpoint: Checkpoint) => Error | undefined = () => undefined;
  /** Called after each save that is stored; an error loses the answer. */
  afterSave: (checkpoint: Checkpoint) => Error | undefined = () => undefined;

  constructor(private readonly store: CheckpointStore) {
    super();
  }

  override load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    return this.store.load(key);
  }

  override async save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    orThrow(this.beforeSave(checkpoint));
    const outcome = await this.store.save(checkpoint, fence);
    orThrow(this.afterSave(checkpoint));
    return outcome;
  }
}

/** Leases that a process loses when it dies, and then never gets again. */
export class MortalLeadership extends Leadership {
  #dead = false;

  constructor(private readonly leadership: InProcessLeadership) {
    super();
  }

  override async acquire(resource: string): Promise<Lease | undefined> {
    return this.#dead ? undefined : this.leadership.acquire(resource);
  }

  die(): void {
    this.#dead = true;
    this.leadership.revoke();
  }
}

/** One app on the stage, and its lines, each of which can be made to fail. */
export interface StageReplica {
  readonly app: INestApplicationContext;
  readonly transport: FaultInjectingTransport;
  readonly checkpoints: WatchedCheckpointStore;
  readonly leadership: MortalLeadership;
  readonly store: UnreliableCacheStore;
  readonly bus: LossyInvalidationBus;
  readonly cache: VersionedCache<StockRow>;
  readonly dataSync: DataSync;
  readonly publisher: PulsarPublisher;
}

/** What a replica is. */
export interface StageReplicaOptions {
  readonly roles?: readonly SyncRole[];
  readonly pulsar?: Pick<PulsarModuleOptions, 'producer' | 'consumer'>;
  readonly tracker?: TrackerTuning;
  readonly providers?: Provider[];
}

/**
 * The real modules of the libraries on a virtual clock, between a database, a broker and a cache server that outlive every replica, with the
 * fault-injecting twins of their ports in between.
 */
export class PromiseStage {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly source = new InMemoryChangeSource('db', [{ table: STOCK, primaryKey: ['id'], columns: ['id', 'level'] }]);
  readonly broker: InProcessBroker;
  readonly server = new EmbeddedCacheServer({ clock: this.clock });
  /** Every message on the topic of changes, in the order in which it was stored. */
  readonly messages: IncomingMessage[] = [];
  /** The highest version delivered of each row. */
  readonly delivered = new Map<number, bigint>();
  readonly #checkpoints = new InMemoryCheckpointStore();
  readonly #leadership = new InProcessLeadership();
  readonly #pollSignal = new InProcessPollSignal();
  readonly #replicas: StageReplica[] = [];
  /** Of the watcher; the stage's broker refuses none, and a refusal fails the test when the stage closes. */
  readonly #acknowledged: Promise<void>[] = [];
  #level = 0;

  constructor(seed = 1) {
    this.random = new SeededRandom(seed);
    this.broker = new InProcessBroker({ clock: this.clock, random: this.random });
  }

  /** Listens to the topic of changes on a subscription of its own, past the library. */
  async watch(): Promise<void> {
    const transport = new InProcessTransport(this.broker);
    await transport.connect();
    const consumer = await transport.subscribe(
      { topic: STOCK_TOPIC, subscription: 'watch', type: 'Exclusive', initialPosition: 'earliest', durable: true },
      { onMessage: (message) => this.#note(message, consumer.ack(message.id)), onClosed: () => undefined },
    );
    consumer.permit(1_000_000);
  }

  /** Starts an app. */
  async start(options: StageReplicaOptions = {}): Promise<StageReplica> {
    const { clock, random, source, server } = this;
    const transport = new FaultInjectingTransport(new InProcessTransport(this.broker));
    const checkpoints = new WatchedCheckpointStore(this.#checkpoints);
    const leadership = new MortalLeadership(this.#leadership);
    const store = new UnreliableCacheStore(new MemoryCacheStore(server), clock);
    const bus = new LossyInvalidationBus(new MemoryInvalidationBus(server));
    class StageModule {}
    Module({
      imports: [
        ResilienceModule.forRoot({ clock, random }),
        PulsarModule.forRoot({ url: 'memory://', transport, ownTransport: true, ...options.pulsar }),
        RedisCacheModule.forRoot({ url: 'memory://', store, bus }),
        RedisCacheModule.forFeature([stockCache]),
        CdcModule.forRoot({
          source,
          checkpoints,
          leadership,
          pollSignal: this.#pollSignal,
          stampedReader: new InMemoryStampedReader(source),
          tracker: { minIntervalMs: 50, maxIntervalMs: 500, pageSize: 3, ...options.tracker },
        }),
        DataSyncModule.forRoot({ app: 'stock' }),
        DataSyncModule.forFeature([stockSync], { roles: options.roles ?? [] }),
      ],
      providers: options.providers ?? [],
    })(StageModule);
    const app = await this.drive(
      NestFactory.createApplicationContext(StageModule, { logger: false, abortOnError: false }),
    );
    const replica: StageReplica = {
      app,
      transport,
      checkpoints,
      leadership,
      store,
      bus,
      cache: app.get(CacheRegistry).get<StockRow>('stock'),
      dataSync: app.get(DataSync),
      publisher: app.get(PulsarPublisher),
    };
    this.#replicas.push(replica);
    return replica;
  }

  /** Commits rows in one transaction, each with a level that no other commit has; answers the version. */
  commit(...ids: readonly number[]): bigint {
    this.#level += 1;
    return this.source.commit((tx) => ids.forEach((id) => tx.upsert(STOCK, { id, level: this.#level })), {
      atMs: this.clock.now(),
    });
  }

  /** Deletes rows in one transaction. */
  remove(...ids: readonly number[]): bigint {
    return this.source.commit((tx) => ids.forEach((id) => tx.delete(STOCK, { id })), { atMs: this.clock.now() });
  }

  /** Lets time pass until `work` has ended, and ends as it does. */
  async drive<T>(work: Promise<T>, limitMs = 600_000): Promise<T> {
    const end = new AbortController();
    const onEnd = (): void => end.abort();
    work.then(onEnd, onEnd);
    const { clock } = this;
    for (let turns = 0; !end.signal.aborted && turns < MOST_IDLE_TURNS; turns++) {
      // Without a timer it waits for something real: a module that Nest loads on first use.
      await clock.until(() => end.signal.aborted || clock.pendingTimers === 0, limitMs);
    }
    return work;
  }

  /**
   * Lets time pass until every change is published and applied, and the backplane is drained. A replica knows of its own work only: what
   * waits for another one's outage to end, its broker tells.
   */
  async quiet(...replicas: readonly StageReplica[]): Promise<void> {
    for (const { app } of replicas) {
      await this.drive(app.get(DistributedDataSyncService).quiet({ timeoutMs: 300_000 }));
    }
    await this.clock.until(() => this.broker.stats(STOCK_TOPIC).backlog('stock-apply') === 0, 600_000);
    await this.clock.until(() => this.server.stats().pending === 0);
  }

  /**
   * Kills a replica as a process dies: from now on nothing that it does has an effect anywhere, and others get its lease. What it holds in
   * memory is taken away when the stage closes.
   */
  kill(replica: StageReplica): void {
    const dead = new Error('The process is dead.');
    replica.transport.plan = () => dead;
    replica.checkpoints.beforeSave = () => dead;
    replica.store.weather = { kind: 'failing' };
    replica.leadership.die();
  }

  /** Stops every replica, then what they shared; answers how many timers are left. */
  async close(): Promise<number> {
    await this.drive(Promise.all(this.#replicas.map(({ app }) => app.close())));
    await Promise.all(this.#acknowledged);
    await this.broker.close();
    this.server.close();
    return this.clock.pendingTimers;
  }

  /** Rows whose last change has not been delivered. */
  missing(): readonly number[] {
    return [...this.source.log(STOCK).values()]
      .filter(({ primaryKey, version }) => version > (this.delivered.get(Number(primaryKey['id'])) ?? -1n))
      .map(({ primaryKey }) => Number(primaryKey['id']));
  }

  #note(message: IncomingMessage, acknowledged: Promise<void>): void {
    this.messages.push(message);
    for (const [id, version] of changesOf(message.payload)) {
      if (version > (this.delivered.get(id) ?? -1n)) {
        this.delivered.set(id, version);
      }
    }
    this.#acknowledged.push(acknowledged);
  }
}

/** Reads a row with its stamp, as a loader does. */
export function readStock(app: INestApplicationContext, id: number): Promise<Loaded<StockRow>> {
  return app.get(SyncReader).read((snapshot: InMemorySnapshot) => {
    const row = [...snapshot.rows(STOCK).values()].find((one) => one['id'] === id);
    return Promise.resolve(row === undefined ? undefined : { id, level: Number(row['level']) });
  });
}

/** The rows and versions of an encoded envelope; none when it cannot be read. */
export function changesOf(payload: Uint8Array): readonly (readonly [id: number, version: bigint])[] {
  try {
    return decodeEnvelope(payload).changes.map(({ pk, version }) => [Number(pk['id']), BigInt(version)] as const);
  } catch {
    return [];
  }
}

function orThrow(error: Error | undefined): void {
  if (error !== undefined) {
    throw error;
  }
}
