import { Inject, Injectable, Logger } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { Random } from '@smartpulse/resilience';
import type { SchedulerRegistry } from '@nestjs/schedule';
import type { ChangeTracker } from '../tracker/change-tracker.js';
import type { TrackerCronJob } from './tracker.cron-job.js';

/** Seconds between two ticks. */
const PERIOD_SECONDS = 30;

type JobClass = typeof TrackerCronJob;

/**
 * The outer tick: where the app has `ScheduleModule`, every tracker is a `CronJob` in its `SchedulerRegistry`, so that operators see,
 * stop, start and fire trackers beside their other jobs. Both packages are optional and loaded only then.
 */
@Injectable()
export class OuterTick {
  readonly #logger = new Logger(OuterTick.name);
  readonly #jobs = new Map<string, TrackerCronJob>();
  #scheduler: SchedulerRegistry | undefined;
  #jobClass: JobClass | undefined;

  constructor(
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(Random) private readonly random: Random,
  ) {}

  /** Finds the app's scheduler, if it has one. */
  async open(): Promise<void> {
    const schedule = await optional(() => import('@nestjs/schedule'));
    const scheduler = schedule === undefined ? undefined : this.#find(schedule.SchedulerRegistry);
    if (scheduler === undefined) {
      return;
    }
    const job = await optional(() => import('./tracker.cron-job.js'));
    if (job === undefined) {
      this.#logger.warn(
        'ScheduleModule is there, but package "cron" is not: trackers run without an outer tick. Install cron 4.',
      );
      return;
    }
    this.#scheduler = scheduler;
    this.#jobClass = job.TrackerCronJob;
  }

  /** Starts a tracker, through its job where there is a scheduler. */
  start(tracker: ChangeTracker): void {
    if (this.#scheduler === undefined || this.#jobClass === undefined) {
      tracker.start();
      return;
    }
    const name = `smartpulse-cdc:${tracker.consumer}:${tracker.table}`;
    // Each at a second of its own, so that not all tables tick at once.
    const job = new this.#jobClass(tracker, PERIOD_SECONDS, this.random.int(PERIOD_SECONDS));
    this.#scheduler.addCronJob(name, job);
    this.#jobs.set(name, job);
    job.start();
  }

  /** Ends the jobs' timers and takes them out of the scheduler; the trackers themselves are stopped by their registry. */
  close(): void {
    for (const [name, job] of this.#jobs) {
      job.detach();
      if (this.#scheduler?.getCronJobs().get(name) === job) {
        this.#scheduler.deleteCronJob(name);
      }
    }
    this.#jobs.clear();
    this.#scheduler = undefined;
  }

  #find(token: typeof SchedulerRegistry): SchedulerRegistry | undefined {
    try {
      return this.moduleRef.get(token, { strict: false });
    } catch {
      // Nest says "not found" by throwing: the app has no ScheduleModule.
      return undefined;
    }
  }
}

/** The module, or nothing when its package is not installed; every other failure to load it is the caller's. */
async function optional<T>(load: () => Promise<T>): Promise<T | undefined> {
  try {
    return await load();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
      return undefined;
    }
    throw error;
  }
}
