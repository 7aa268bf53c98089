import { type RegionSeries } from '../data/series.js';
import { Feeder } from '../feed/feeder.js';
import { planFeed } from '../feed/feed-plan.js';
import { type Losses } from './audit.js';
import { Browsing } from './browsing.js';
import { type CacheOutcomes, SmokeStage, type StageOptions } from './smoke.stage.js';

/** How the story goes. */
export interface SmokeOptions extends StageOptions {
  readonly series: readonly RegionSeries[];
  readonly unitCount: number;
  readonly measuredDays: number;
  /** How long to wait for quiet, in milliseconds. Default 60,000. */
  readonly quietLimitMs?: number | undefined;
}

/** The story in numbers. */
export interface SmokeReport extends Readonly<CacheOutcomes> {
  /** Rows that the service said it committed. */
  readonly committedRows: number;
  readonly publishedEnvelopes: number;
  /** Change envelopes that a witness on a subscription of its own received. */
  readonly deliveredEnvelopes: number;
  /** Rows, events and shown values that are missing or wrong. */
  readonly lost: number;
  readonly losses: Losses;
  readonly notifications: number;
  /** Days that users looked at on the replicas while corrections came in. */
  readonly browsed: number;
  /** Commit to cache. */
  readonly lagP50Ms: number | null;
  readonly lagP99Ms: number | null;
  readonly seconds: number;
  /** The units' shares add up to the input series, to the hundredth. */
  readonly sumsAreExact: boolean;
  /** Quiet came within the limit. */
  readonly quiet: boolean;
}

/** Requests under way at once. */
const FEED_CONCURRENCY = 4;

/** Milliseconds between two looks for quiet. */
const LOOK_INTERVAL_MS = 50;

/** Quiet looks in a row that count. */
const QUIET_LOOKS = 5;

/**
 * The whole story, bounded: a writer saves a month in bulk and then corrects it, and is restarted once in the middle; two replicas of the read
 * side read every key after the bulk and again at the end, with caches that outlive the run; an audit compares them with the database.
 *
 * The writer has a cache of its own, so its own invalidations never reach the replicas: only the sync can make them right.
 */
export async function tellSmokeStory(options: SmokeOptions): Promise<SmokeReport> {
  const stage = await SmokeStage.open(options);
  try {
    return await play(stage, options);
  } finally {
    await stage.close();
  }
}

async function play(stage: SmokeStage, options: SmokeOptions): Promise<SmokeReport> {
  const startedMs = options.clock.monotonic();
  const plan = planFeed(options.series, options.unitCount, options.measuredDays);
  const audit = await stage.openAudit(plan);
  const feeder = new Feeder(FEED_CONCURRENCY);

  await feeder.feed(stage.writer.client, plan.bulk);
  for (const reader of stage.readers) {
    await audit.compare(reader);
  }
  const browsing = new Browsing(stage.readers, plan, options.clock, options.random);
  const flow = interleave(plan.corrections, plan.measurements);
  const middle = Math.floor(flow.length / 2);
  await feeder.feed(stage.writer.client, flow.slice(0, middle));
  await stage.restartWriter();
  await feeder.feed(stage.writer.client, flow.slice(middle));
  const browsed = await browsing.end();

  const quiet = await untilQuiet(stage, options);
  const losses = await audit.losses(stage.witness, stage.readers);
  const { p50Ms, p99Ms } = stage.lag();
  return {
    committedRows: feeder.progress.rows,
    publishedEnvelopes: stage.publishedEnvelopes(),
    deliveredEnvelopes: stage.witness.deliveredEnvelopes,
    ...stage.cacheOutcomes(),
    lost: losses.rows + losses.events + losses.values,
    losses,
    notifications: await stage.countNotifications(),
    browsed,
    lagP50Ms: p50Ms,
    lagP99Ms: p99Ms,
    seconds: Math.round((options.clock.monotonic() - startedMs) / 100) / 10,
    sumsAreExact: await audit.sumsAreExact(),
    quiet,
  };
}

/** Quiet seen several times in a row: once may be the moment between two steps. */
async function untilQuiet(stage: SmokeStage, { clock, quietLimitMs = 60_000 }: SmokeOptions): Promise<boolean> {
  const deadlineMs = clock.monotonic() + quietLimitMs;
  for (let seen = 0; clock.monotonic() < deadlineMs; await clock.sleep(LOOK_INTERVAL_MS)) {
    seen = (await stage.isQuiet()) ? seen + 1 : 0;
    if (seen === QUIET_LOOKS) {
      return true;
    }
  }
  return false;
}

/** The shorter list spread over the longer one. */
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
