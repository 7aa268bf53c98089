import { type LoggerService } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { CdcRegistry } from '@smartpulse/cdc';
import { DataSync } from '@smartpulse/data-sync';
import { createNotificationServiceApp, NotificationEntity } from '@smartpulse/notification-service';
import { type ProductionForecastRole } from '@smartpulse/production-forecast';
import { forecastContracts } from '@smartpulse/production-forecast-contract';
import { type PulsarConsumerHandle, PulsarRegistry } from '@smartpulse/pulsar';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { type Clock, type Random } from '@smartpulse/resilience';
import { type FeedPlan } from '../feed/feed-plan.js';
import { EmbeddedParts, type SharedServers } from '../hosting/embedded-parts.js';
import { leaveBroker } from '../hosting/leave-broker.js';
import { Audit } from './audit.js';
import { DeafCacheServer } from './deaf-cache.server.js';
import { DirectSql } from './direct-sql.js';
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
  /** A real broker to play on. Default: one in this process. */
  readonly shared?: SharedServers | undefined;
  /** Is told at the start what is embedded, and at the end what stays on a real broker. Default: nobody. */
  readonly say?: ((sentence: string) => void) | undefined;
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
  readonly #writersCache: EmbeddedCacheServer;
  readonly #sql: DirectSql;
  readonly #readers: Replica[] = [];
  readonly #witness: Witness;
  /** The apps that consume: the replicas of the read side and NotificationService. */
  readonly #consuming: NestExpressApplication[] = [];
  #writer: Replica | undefined;
  /** What writers that are stopped had published. */
  #publishedBefore: Published = { envelopes: 0, messages: 0 };

  private constructor(
    private readonly options: StageOptions,
    private readonly parts: EmbeddedParts,
  ) {
    this.#writersCache = new EmbeddedCacheServer({ clock: options.clock });
    this.#sql = new DirectSql(parts);
    this.#witness = new Witness(parts, forecastContracts(parts.installation));
    this.#closers.push(
      () => parts.close(),
      () => this.#writersCache.close(),
      () => this.#sql.close(),
    );
  }

  /** Starts everything; what had started is stopped again when a part fails to. */
  static async open(options: StageOptions): Promise<SmokeStage> {
    const { clock, random, shared } = options;
    const cacheServer = options.backplane === false ? new DeafCacheServer({ clock }) : undefined;
    const stage = new SmokeStage(options, await EmbeddedParts.open(clock, random, { cacheServer, shared }));
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
    const { envelopes, messages } = publishedBy(app);
    this.#publishedBefore = {
      envelopes: this.#publishedBefore.envelopes + envelopes,
      messages: this.#publishedBefore.messages + messages,
    };
    this.#writer = await this.#startReplica('writer', ['write', 'publish'], this.#writersCache);
  }

  /** Compares deliveries and replicas with direct SQL. */
  async openAudit(plan: FeedPlan): Promise<Audit> {
    return new Audit(this.#sql.source, await this.#sql.openForecasts(), plan);
  }

  /** Notifications in NotificationService's own store. */
  async countNotifications(): Promise<number> {
    const dataSource = await this.#sql.openNotifications();
    return dataSource.getRepository(NotificationEntity).count();
  }

  /** Change envelopes that the writers, one after the other, have handed to the log. */
  publishedEnvelopes(): number {
    return this.#publishedBefore.envelopes + publishedBy(this.writer.app).envelopes;
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

  /**
   * Trackers at the database's version, everything that was published acknowledged on every subscription, nothing on its way on the backplane.
   *
   * No broker is asked: what its topics hold is counted by the witness, what was acknowledged by whoever consumes.
   */
  async isQuiet(): Promise<boolean> {
    const version = await this.#sql.currentVersion();
    const trackers = this.writer.app.get(CdcRegistry, { strict: false }).list();
    const caughtUp = trackers.every(
      (tracker) => tracker.state.kind === 'streaming' && tracker.snapshot().version === version,
    );
    const { cacheServer } = this.parts;
    // A Redis does not say what is on its way: no longer than a hop, which the quiet has to last for anyway.
    const told = !(cacheServer instanceof EmbeddedCacheServer) || cacheServer.stats().pending === 0;
    return caughtUp && this.#isConsumed() && told;
  }

  /** Stops everything in reverse order of its start. */
  async close(): Promise<void> {
    await this.#writer?.app.close();
    this.#writer = undefined;
    if (this.parts.installation !== undefined) {
      (await leaveBroker(this.#consuming)).forEach((sentence) => this.options.say?.(sentence));
    }
    for (const close of this.#closers.toReversed()) {
      await close();
    }
    this.#closers.length = 0;
  }

  async #start(): Promise<void> {
    const { clock, random, logger = false, apply } = this.options;
    this.options.say?.(this.parts.describe());
    this.#closers.push(() => this.#witness.stop());
    await this.#witness.start();
    const notifier = await createNotificationServiceApp(
      {
        database: this.parts.notifications,
        broker: this.parts.broker,
        installation: this.parts.installation,
        clock,
        random,
      },
      { signals: false, logger },
    );
    this.#closers.push(() => notifier.close());
    this.#consuming.push(notifier);
    await notifier.listen(0, '127.0.0.1');
    this.#writer = await this.#startReplica('writer', ['write', 'publish'], this.#writersCache);
    for (const name of ['reader-1', 'reader-2']) {
      const reader = await this.#startReplica(name, apply === false ? [] : ['apply'], this.parts.cacheServer);
      this.#closers.push(() => reader.app.close());
      this.#consuming.push(reader.app);
      this.#readers.push(reader);
    }
  }

  #startReplica(
    name: string,
    roles: readonly ProductionForecastRole[],
    cacheServer: EmbeddedParts['cacheServer'],
  ): Promise<Replica> {
    return startReplica(name, roles, this.parts, cacheServer, this.options.logger ?? false);
  }

  /** Replicas share a subscription, so what they acknowledged counts together. */
  #isConsumed(): boolean {
    const { messages } = publishedBy(this.writer.app);
    if (this.#witness.deliveredMessages < this.#publishedBefore.messages + messages) {
      return false;
    }
    const subscriptions = new Map<string, { readonly topic: string; acked: number; inFlight: number }>();
    for (const consumer of this.#consuming.flatMap(consumersOf)) {
      const name = `${consumer.topic} ${consumer.subscription}`;
      const sum = subscriptions.get(name) ?? { topic: consumer.topic, acked: 0, inFlight: 0 };
      const { acked, inFlight } = consumer.stats();
      subscriptions.set(name, { ...sum, acked: sum.acked + acked, inFlight: sum.inFlight + inFlight });
    }
    return [...subscriptions.values()].every(
      ({ topic, acked, inFlight }) => inFlight === 0 && acked >= this.#witness.deliveredOn(topic),
    );
  }
}

/** What a writer has handed to the log: envelopes with changes, and messages of every kind. */
interface Published {
  readonly envelopes: number;
  readonly messages: number;
}

function publishedBy(app: NestExpressApplication): Published {
  const { syncs, outboxes } = app.get(DataSync, { strict: false }).stats();
  const envelopes = syncs.reduce((sum, { publish }) => sum + (publish?.publishedEnvelopes ?? 0), 0);
  const control = syncs.reduce((sum, { publish }) => sum + (publish?.controlEnvelopes ?? 0), 0);
  return { envelopes, messages: envelopes + control + outboxes.reduce((sum, { relayed }) => sum + relayed, 0) };
}

function consumersOf(app: NestExpressApplication): readonly PulsarConsumerHandle[] {
  return app.get(PulsarRegistry, { strict: false }).list();
}

function syncsOf(app: NestExpressApplication): ReturnType<DataSync['stats']>['syncs'] {
  return app.get(DataSync, { strict: false }).stats().syncs;
}

function largest(values: readonly (number | null | undefined)[]): number | null {
  return values.reduce<number | null>((most, value) => Math.max(most ?? 0, value ?? 0) || most, null);
}
