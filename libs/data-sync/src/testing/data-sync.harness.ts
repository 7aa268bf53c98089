import { type INestApplicationContext, Module, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CdcModule, type CdcModuleOptions, CdcRegistry, InProcessPollSignal } from '@smartpulse/cdc';
import {
  InMemoryChangeSource,
  InMemoryCheckpointStore,
  type InMemoryTable,
  InProcessLeadership,
} from '@smartpulse/cdc/testing';
import { type ConsumerDefaults, PulsarModule, PulsarPublisher } from '@smartpulse/pulsar';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import {
  type CacheNamespace,
  CacheRegistry,
  type CacheStore,
  type FieldsNamespace,
  RedisCacheModule,
  type VersionedCache,
  type VersionedFieldsCache,
} from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryFieldsStore } from '@smartpulse/redis-cache/embedded';
import { type Clock, ResilienceModule, SystemClock } from '@smartpulse/resilience';
import { DataSync } from '../committed/data-sync.js';
import { DataSyncModule } from '../data-sync.module.js';
import type { SyncDefinition, SyncRole } from '../definition/sync-definition.js';
import type { OutboxDefinition } from '../outbox/outbox-definition.js';
import { SyncReader } from '../read/sync.reader.js';
import { DistributedDataSyncService } from '../supervise/distributed-data-sync.service.js';
import { InMemoryStampedReader } from './in-memory.stamped-reader.js';
import { SilentInvalidationBus } from './silent.invalidation-bus.js';

/** What a {@link DataSyncHarness} is made of. */
export interface HarnessOptions {
  /** Tables of the in-memory database. Not needed with `cdc` on every replica. */
  readonly tables?: readonly InMemoryTable[] | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
}

/** One replica of an app. */
export interface ReplicaOptions {
  /** The app's stable name. */
  readonly app: string;
  readonly syncs?: readonly SyncDefinition[] | undefined;
  readonly roles?: readonly SyncRole[] | undefined;
  readonly outbox?: OutboxDefinition | undefined;
  readonly caches?: readonly (CacheNamespace<unknown> | FieldsNamespace<unknown>)[] | undefined;
  /** Handlers and whatever else the app has. */
  readonly providers?: Provider[] | undefined;
  /** `false`: the replica hears nothing of what others write. Default `true`. */
  readonly backplane?: boolean | undefined;
  /** The replica's line to the shared cache: makes one that fails of the one that does not. */
  readonly cacheStore?: ((shared: CacheStore) => CacheStore) | undefined;
  /** Another database than the harness's own; replicas of one app share it. */
  readonly cdc?: CdcModuleOptions | undefined;
  /** Attempts and waits of consumers. Default: the library's. */
  readonly consumer?: Partial<ConsumerDefaults> | undefined;
}

/** A replica that runs. */
export class HarnessReplica {
  /** The Nest application. */
  readonly app: INestApplicationContext;
  readonly dataSync: DataSync;
  readonly reader: SyncReader;
  readonly service: DistributedDataSyncService;
  readonly trackers: CdcRegistry;
  readonly publisher: PulsarPublisher;

  constructor(app: INestApplicationContext) {
    this.app = app;
    this.dataSync = app.get(DataSync);
    this.reader = app.get(SyncReader);
    this.service = app.get(DistributedDataSyncService);
    this.trackers = app.get(CdcRegistry);
    this.publisher = app.get(PulsarPublisher);
  }

  /** A cache by name. */
  cache<T>(name: string): VersionedCache<T> {
    return this.app.get(CacheRegistry).get<T>(name);
  }

  /** A cache of hashes by name. */
  fields<T>(name: string): VersionedFieldsCache<T> {
    return this.app.get(CacheRegistry).fields<T>(name);
  }

  /** Stops the app, as a deployment would. */
  async close(): Promise<void> {
    await this.app.close();
  }
}

/**
 * The whole flow in one process, for tests: a tracked in-memory database, a broker, a cache server, and as many replicas of as many apps as
 * a test starts on them.
 *
 * @example
 * ```ts
 * const harness = new DataSyncHarness({ tables: [{ table: 'dbo.stock', primaryKey: ['id'], columns: ['id', 'level'] }] });
 * const owner = await harness.start({ app: 'stock', syncs: [stockSync], roles: ['publish', 'apply'], caches: [stockCache] });
 * harness.source.commit((tx) => tx.upsert('dbo.stock', { id: 1, level: 7 }));
 * await owner.service.quiet();
 * await harness.close();
 * ```
 */
export class DataSyncHarness {
  readonly clock: Clock;
  readonly broker: InProcessBroker;
  readonly cacheServer: EmbeddedCacheServer;
  /** The in-memory database. */
  readonly source: InMemoryChangeSource;
  readonly #checkpoints = new InMemoryCheckpointStore();
  readonly #leadership = new InProcessLeadership();
  readonly #signal = new InProcessPollSignal();
  readonly #replicas = new Set<HarnessReplica>();

  constructor(options: HarnessOptions = {}) {
    this.clock = options.clock ?? new SystemClock();
    this.broker = new InProcessBroker({ clock: this.clock });
    this.cacheServer = new EmbeddedCacheServer({ clock: this.clock });
    this.source = new InMemoryChangeSource('db', options.tables ?? []);
  }

  /** Starts a replica and resolves when its app has started. */
  async start(options: ReplicaOptions): Promise<HarnessReplica> {
    const module = this.#moduleOf(options);
    const app = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
    const replica = new HarnessReplica(app);
    this.#replicas.add(replica);
    return replica;
  }

  /** Stops every replica, then broker and cache server. */
  async close(): Promise<void> {
    await Promise.all([...this.#replicas].map((replica) => replica.close()));
    await this.broker.close();
    this.cacheServer.close();
  }

  #moduleOf(options: ReplicaOptions): new () => object {
    class HarnessAppModule {}
    Module({
      imports: [
        ResilienceModule.forRoot({ clock: this.clock }),
        PulsarModule.forRoot({
          url: 'memory://',
          transport: new InProcessTransport(this.broker),
          ...(options.consumer === undefined ? {} : { consumer: options.consumer }),
        }),
        RedisCacheModule.forRoot({
          url: 'memory://',
          server: this.cacheServer,
          ...(options.cacheStore === undefined
            ? {}
            : {
                store: options.cacheStore(new MemoryCacheStore(this.cacheServer)),
                fieldsStore: new MemoryFieldsStore(this.cacheServer),
              }),
          ...(options.backplane === false ? { bus: new SilentInvalidationBus() } : {}),
        }),
        RedisCacheModule.forFeature(options.caches ?? []),
        CdcModule.forRoot(options.cdc ?? this.#cdc()),
        DataSyncModule.forRoot({ app: options.app }),
        DataSyncModule.forFeature(options.syncs ?? [], { roles: options.roles ?? [], outbox: options.outbox }),
      ],
      providers: options.providers ?? [],
    })(HarnessAppModule);
    return HarnessAppModule;
  }

  #cdc(): CdcModuleOptions {
    return {
      source: this.source,
      checkpoints: this.#checkpoints,
      leadership: this.#leadership,
      pollSignal: this.#signal,
      stampedReader: new InMemoryStampedReader(this.source),
    };
  }
}
