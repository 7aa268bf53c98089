import { type LoggerService } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { CdcRegistry } from '@smartpulse/cdc';
import { EmbeddedChangeSource } from '@smartpulse/cdc/embedded';
import { DataSync } from '@smartpulse/data-sync';
import { createNotificationServiceApp, NotificationEntity } from '@smartpulse/notification-service';
import { ForecastEntity, ForecastOutboxEntity, type ProductionForecastRole } from '@smartpulse/production-forecast';
import { InProcessTransport } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { type Clock, type Random } from '@smartpulse/resilience';
import { DataSource } from 'typeorm';
import { type FeedPlan } from '../feed/feed-plan.js';
import { EmbeddedParts } from '../hosting/embedded-parts.js';
import { Audit } from './audit.js';
import { DeafCacheServer } from './deaf-cache.server.js';
import { type Replica, startReplica } from './replica.js';
import { Witness } from './witness.js';

/** What is on the stage, and what is left out of it on purpose. */
export interface StageOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** `false`: nobody applies changes to the cache, so replicas go on showing what they read first. Default `true`. */
  readonly apply?: boolean | undefined;
  /** `false`: replicas do not hear which keys changed. Default `true`. */
  readonly backplane?: boolean | undefined;
  /** Nest's logger. Default `false`: silent. */
  readonly logger?: LoggerService | false | undefined;
}

/** What changes did to the cache. */
export type CacheOutcomes = Record<'applied' | 'stale' | 'duplicates' | 'absent', number>;

/**
 * Everything that the smoke story plays on: a writer with a cache of its own, two replicas of the read side that share one, NotificationService,
 * a witness on subscriptions of its own, and direct SQL.
 */
export class SmokeStage {
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #parts: EmbeddedParts;
  readonly #writersCache: EmbeddedCacheServer;
  readonly #readers: Replica[] = [];
  readonly #witness: Witness;
  #writer: Replica | undefined;

  private constructor(private readonly options: StageOptions) {
    const { clock, random } = options;
    this.#parts = new EmbeddedParts(
      clock,
      random,
      options.backplane === false ? new DeafCacheServer({ clock }) : undefined,
    );
    this.#writersCache = new EmbeddedCacheServer({ clock });
    this.#witness = new Witness(new InProcessTransport(this.#parts.broker));
    this.#closers.push(
      () => this.#parts.close(),
      () => this.#writersCache.close(),
    );
  }

  /** Starts everything; what had started is stopped again when a part fails to. */
  static async open(options: StageOptions): Promise<SmokeStage> {
    const stage = new SmokeStage(options);
    try {
      await stage.#start();
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  get witness(): Witness {
    return this.#witness;
  }

  /** The replicas of the read side. */
  get readers(): readonly Replica[] {
    return this.#readers;
  }

  /** The replica that saves and publishes. */
  get writer(): Replica {
    if (this.#writer === undefined) {
      throw new Error('The writer is stopped.');
    }
    return this.#writer;
  }

  /** Stops the writer in order and starts another one on the same database and log. */
  async restartWriter(): Promise<void> {
    const { app } = this.writer;
    this.#writer = undefined;
    await app.close();
    this.#writer = await this.#startReplica('writer', ['write', 'publish'], this.#writersCache);
  }

  /** Compares deliveries and replicas with direct SQL. */
  async openAudit(plan: FeedPlan): Promise<Audit> {
    const dataSource = await this.#openSql('audit', this.#parts.forecasts, [ForecastEntity, ForecastOutboxEntity]);
    return new Audit(new EmbeddedChangeSource(this.#parts.forecasts), dataSource, plan);
  }

  /** Notifications in NotificationService's own store. */
  async countNotifications(): Promise<number> {
    const dataSource = await this.#openSql('count', this.#parts.notifications, [NotificationEntity]);
    return dataSource.getRepository(NotificationEntity).count();
  }

  /** Change envelopes that the running writer has handed to the log. */
  publishedEnvelopes(): number {
    return syncsOf(this.writer.app).reduce((sum, { publish }) => sum + (publish?.publishedEnvelopes ?? 0), 0);
  }

  /** What changes did to the cache, on both replicas together. */
  cacheOutcomes(): CacheOutcomes {
    const sums: CacheOutcomes = { applied: 0, stale: 0, duplicates: 0, absent: 0 };
    for (const { apply } of this.#readers.flatMap(({ app }) => syncsOf(app))) {
      for (const name of ['applied', 'stale', 'duplicates', 'absent'] as const) {
        sums[name] += apply?.[name] ?? 0;
      }
    }
    return sums;
  }

  /** Commit to cache in milliseconds, on the slower replica. */
  lag(): { readonly p50Ms: number | null; readonly p99Ms: number | null } {
    const lags = this.#readers.flatMap(({ app }) => syncsOf(app).map(({ lag }) => lag));
    return { p50Ms: largest(lags.map((lag) => lag?.p50Ms)), p99Ms: largest(lags.map((lag) => lag?.p99Ms)) };
  }

  /** Trackers at the database's version, no backlog on any subscription, nothing on its way on the backplane. */
  isQuiet(): boolean {
    const { version } = this.#parts.forecasts.currentVersion();
    const trackers = this.writer.app.get(CdcRegistry, { strict: false }).list();
    const caughtUp = trackers.every(
      (tracker) => tracker.state.kind === 'streaming' && tracker.snapshot().version === version,
    );
    return caughtUp && this.#backlog() === 0 && this.#parts.cacheServer.stats().pending === 0;
  }

  /** Stops everything in reverse order of its start. */
  async close(): Promise<void> {
    await this.#writer?.app.close();
    this.#writer = undefined;
    for (const close of this.#closers.toReversed()) {
      await close();
    }
    this.#closers.length = 0;
  }

  async #start(): Promise<void> {
    const { clock, random, logger = false, apply } = this.options;
    this.#closers.push(() => this.#witness.stop());
    await this.#witness.start();
    const notifier = await createNotificationServiceApp(
      { database: this.#parts.notifications, broker: this.#parts.broker, clock, random },
      { signals: false, logger },
    );
    this.#closers.push(() => notifier.close());
    await notifier.listen(0, '127.0.0.1');
    this.#writer = await this.#startReplica('writer', ['write', 'publish'], this.#writersCache);
    for (const name of ['reader-1', 'reader-2']) {
      const reader = await this.#startReplica(name, apply === false ? [] : ['apply'], this.#parts.cacheServer);
      this.#closers.push(() => reader.app.close());
      this.#readers.push(reader);
    }
  }

  #startReplica(
    name: string,
    roles: readonly ProductionForecastRole[],
    cacheServer: EmbeddedCacheServer,
  ): Promise<Replica> {
    return startReplica(name, roles, this.#parts, cacheServer, this.options.logger ?? false);
  }

  async #openSql(
    name: string,
    database: EmbeddedParts['forecasts'],
    entities: Parameters<EmbeddedParts['forecasts']['typeOrmOptions']>[0]['entities'],
  ): Promise<DataSource> {
    const dataSource = new DataSource(database.typeOrmOptions({ name, entities }));
    await dataSource.initialize();
    this.#closers.push(() => dataSource.destroy());
    return dataSource;
  }

  #backlog(): number {
    return this.#parts.broker.topics.reduce((sum, topic) => {
      const stats = this.#parts.broker.stats(topic);
      return sum + Object.keys(stats.subscriptions).reduce((total, name) => total + stats.backlog(name), 0);
    }, 0);
  }
}

function syncsOf(app: NestExpressApplication): ReturnType<DataSync['stats']>['syncs'] {
  return app.get(DataSync, { strict: false }).stats().syncs;
}

function largest(values: readonly (number | null | undefined)[]): number | null {
  return values.reduce<number | null>((most, value) => Math.max(most ?? 0, value ?? 0) || most, null);
}
