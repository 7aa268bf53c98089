import { type LoggerService } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { CdcRegistry } from '@smartpulse/cdc';
import { EmbeddedChangeSource } from '@smartpulse/cdc/embedded';
import { DataSync } from '@smartpulse/data-sync';
import { createNotificationServiceApp, NotificationEntity } from '@smartpulse/notification-service';
import { ForecastEntity, ForecastOutboxEntity } from '@smartpulse/production-forecast';
import { InProcessTransport } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { type Clock, type Random } from '@smartpulse/resilience';
import { DataSource } from 'typeorm';
import { type RegionSeries } from '../data/series.js';
import { Feeder } from '../feed/feeder.js';
import { planFeed } from '../feed/feed-plan.js';
import { EmbeddedParts } from '../hosting/embedded-parts.js';
import { Audit, type Losses } from './audit.js';
import { DeafCacheServer } from './deaf-cache.server.js';
import { type Replica, startReplica } from './replica.js';
import { Witness } from './witness.js';

/** How the story goes. */
export interface SmokeOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly series: readonly RegionSeries[];
  readonly unitCount: number;
  readonly measuredDays: number;
  /** `false`: nobody applies changes to the cache, so replicas go on showing what they read first. Default `true`. */
  readonly apply?: boolean;
  /** `false`: replicas do not hear which keys changed. Default `true`. */
  readonly backplane?: boolean;
  /** How long to wait for quiet, in milliseconds. Default 60,000. */
  readonly quietLimitMs?: number;
  readonly logger?: LoggerService | false;
}

/** The story in numbers. */
export interface SmokeReport {
  /** Rows that the service said it committed. */
  readonly committedRows: number;
  readonly publishedEnvelopes: number;
  readonly deliveredEnvelopes: number;
  /** What the changes did to the cache. */
  readonly applied: number;
  readonly stale: number;
  readonly duplicates: number;
  readonly absent: number;
  /** Rows, events and shown values that are missing or wrong. */
  readonly lost: number;
  readonly losses: Losses;
  readonly notifications: number;
  /** Commit to cache. */
  readonly lagP50Ms: number | null;
  readonly lagP99Ms: number | null;
  readonly seconds: number;
  /** The units' shares add up to the input series, to the hundredth. */
  readonly sumsAreExact: boolean;
  /** Quiet came within the limit. */
  readonly quiet: boolean;
}

/**
 * The whole story, bounded: a writer saves a month in bulk and then corrects it, and is restarted once in the middle; two replicas of the read
 * side read every key after the bulk and again at the end, with caches that outlive the run; an audit compares them with the database.
 *
 * The writer has a cache of its own, so its own invalidations never reach the replicas: only the sync can make them right.
 */
export async function tellSmokeStory(options: SmokeOptions): Promise<SmokeReport> {
  const { clock, random, logger = false } = options;
  const startedMs = clock.monotonic();
  const plan = planFeed(options.series, options.unitCount, options.measuredDays);
  const parts = new EmbeddedParts(
    clock,
    random,
    options.backplane === false ? new DeafCacheServer({ clock }) : undefined,
  );
  const writersCache = new EmbeddedCacheServer({ clock });
  const witness = new Witness(new InProcessTransport(parts.broker));
  const startWriter = (): Promise<Replica> => startReplica('writer', ['write', 'publish'], parts, writersCache, logger);
  const readerRoles = options.apply === false ? [] : (['apply'] as const);

  await witness.start();
  const notifier = await createNotificationServiceApp(
    { database: parts.notifications, broker: parts.broker, clock, random },
    { signals: false, logger },
  );
  await notifier.listen(0, '127.0.0.1');
  let writer = await startWriter();
  const replicas = [
    await startReplica('reader-1', readerRoles, parts, parts.cacheServer, logger),
    await startReplica('reader-2', readerRoles, parts, parts.cacheServer, logger),
  ];
  const auditing = new DataSource(
    parts.forecasts.typeOrmOptions({ name: 'audit', entities: [ForecastEntity, ForecastOutboxEntity] }),
  );
  await auditing.initialize();
  const audit = new Audit(new EmbeddedChangeSource(parts.forecasts), auditing, plan);
  const feeder = new Feeder(4);
  let publishedEnvelopes = 0;

  await feeder.feed(writer.client, plan.bulk);
  for (const replica of replicas) {
    await audit.compare(replica);
  }
  const flow = interleave(plan.corrections, plan.measurements);
  const middle = Math.floor(flow.length / 2);
  await feeder.feed(writer.client, flow.slice(0, middle));
  publishedEnvelopes += publishedBy(writer.app);
  await writer.app.close();
  writer = await startWriter();
  await feeder.feed(writer.client, flow.slice(middle));

  const quiet = await untilQuiet(options, parts, writer.app);
  publishedEnvelopes += publishedBy(writer.app);
  const losses = await audit.losses(witness, replicas);
  const sumsAreExact = await audit.sumsAreExact();
  const applied = replicas.map(({ app }) => appliedBy(app));
  const lags = replicas.map(({ app }) => lagOf(app));
  const notifications = await countNotifications(parts);

  for (const { app } of [...replicas, writer]) {
    await app.close();
  }
  await notifier.close();
  await witness.stop();
  await auditing.destroy();
  writersCache.close();
  await parts.close();

  const sum = (name: 'applied' | 'stale' | 'duplicates' | 'absent'): number =>
    applied.reduce((total, counts) => total + counts[name], 0);
  return {
    committedRows: feeder.progress.rows,
    publishedEnvelopes,
    deliveredEnvelopes: witness.deliveredEnvelopes,
    applied: sum('applied'),
    stale: sum('stale'),
    duplicates: sum('duplicates'),
    absent: sum('absent'),
    lost: losses.rows + losses.events + losses.values,
    losses,
    notifications,
    lagP50Ms: largest(lags.map(({ p50Ms }) => p50Ms)),
    lagP99Ms: largest(lags.map(({ p99Ms }) => p99Ms)),
    seconds: Math.round((clock.monotonic() - startedMs) / 100) / 10,
    sumsAreExact,
    quiet,
  };
}

/** One of the shorter list after each few of the longer one. */
function interleave<T>(longer: readonly T[], shorter: readonly T[]): readonly T[] {
  const every = Math.max(1, Math.floor(longer.length / Math.max(1, shorter.length)));
  return [
    ...longer.flatMap((item, index) => {
      const other = index % every === 0 ? shorter[index / every] : undefined;
      return other === undefined ? [item] : [item, other];
    }),
    ...shorter.slice(Math.ceil(longer.length / every)),
  ];
}

/** Quiet: trackers at the database's version, no backlog on any subscription, nothing on its way on the backplane; seen twice. */
async function untilQuiet(
  { clock, quietLimitMs = 60_000 }: SmokeOptions,
  parts: EmbeddedParts,
  writer: NestExpressApplication,
): Promise<boolean> {
  const trackers = writer.get(CdcRegistry, { strict: false }).list();
  const deadlineMs = clock.monotonic() + quietLimitMs;
  let seen = 0;
  while (clock.monotonic() < deadlineMs) {
    const { version } = parts.forecasts.currentVersion();
    const caughtUp = trackers.every((tracker) => tracker.snapshot().version === version);
    const backlog = parts.broker.topics.reduce((sum, topic) => {
      const stats = parts.broker.stats(topic);
      return sum + Object.keys(stats.subscriptions).reduce((total, name) => total + stats.backlog(name), 0);
    }, 0);
    seen = caughtUp && backlog === 0 && parts.cacheServer.stats().pending === 0 ? seen + 1 : 0;
    if (seen === 2) {
      return true;
    }
    await clock.sleep(50);
  }
  return false;
}

function publishedBy(app: NestExpressApplication): number {
  const { syncs } = app.get(DataSync, { strict: false }).stats();
  return syncs.reduce((sum, { publish }) => sum + (publish?.publishedEnvelopes ?? 0), 0);
}

function appliedBy(app: NestExpressApplication): Record<'applied' | 'stale' | 'duplicates' | 'absent', number> {
  const counts = { applied: 0, stale: 0, duplicates: 0, absent: 0 };
  for (const { apply } of app.get(DataSync, { strict: false }).stats().syncs) {
    counts.applied += apply?.applied ?? 0;
    counts.stale += apply?.stale ?? 0;
    counts.duplicates += apply?.duplicates ?? 0;
    counts.absent += apply?.absent ?? 0;
  }
  return counts;
}

function lagOf(app: NestExpressApplication): { readonly p50Ms: number | null; readonly p99Ms: number | null } {
  const lag = app.get(DataSync, { strict: false }).stats().syncs[0]?.lag;
  return { p50Ms: lag?.p50Ms ?? null, p99Ms: lag?.p99Ms ?? null };
}

async function countNotifications(parts: EmbeddedParts): Promise<number> {
  const counting = new DataSource(
    parts.notifications.typeOrmOptions({ name: 'count', entities: [NotificationEntity] }),
  );
  await counting.initialize();
  const count = await counting.getRepository(NotificationEntity).count();
  await counting.destroy();
  return count;
}

function largest(values: readonly (number | null)[]): number | null {
  return values.reduce((most, value) => (value !== null && (most === null || value > most) ? value : most), null);
}
