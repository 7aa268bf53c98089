import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ChangeSource, CheckpointStore } from '@smartpulse/cdc';
import { Clock, ShutdownCoordinator, type Timer } from '@smartpulse/resilience';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DataSource, In, LessThan, LessThanOrEqual } from 'typeorm';
import { formatInstant } from '../domain/instant.js';
import { APP_NAME, OUTBOX_TABLE } from '../sync/forecast.sync.js';
import { ForecastOutboxEntity } from './forecast-outbox.entity.js';
import { MAX_ROWS_PER_STATEMENT } from './forecast.repository.js';

/** Relayed events are kept for a day, so that it can be seen what was said. */
export const OUTBOX_RETENTION_MS = 86_400_000;

/** How often old events are looked for. */
export const OUTBOX_SWEEP_INTERVAL_MS = 600_000;

/** A place in the outbox: whoever has handed off everything up to `version` has relayed every row up to `lastId`. */
interface Mark {
  readonly lastId: number;
  readonly epoch: bigint;
  readonly version: bigint;
}

/**
 * Deletes events that are old **and relayed**: a row that is deleted before its tracker has read it would be an event that nobody hears.
 * Each sweep marks how far the outbox reaches; the next one deletes below that mark, if the tracker's checkpoint has passed it meanwhile.
 */
@Injectable()
export class OutboxRetention implements OnApplicationBootstrap {
  readonly #logger = new Logger(OutboxRetention.name);
  #mark: Mark | undefined;
  #timer: Timer | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(ChangeSource) private readonly source: Pick<ChangeSource, 'name' | 'state'>,
    @Inject(CheckpointStore) private readonly checkpoints: Pick<CheckpointStore, 'load'>,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(ShutdownCoordinator) private readonly shutdown: Pick<ShutdownCoordinator, 'register'>,
  ) {}

  onApplicationBootstrap(): void {
    this.shutdown.register({ name: 'outbox-retention', phase: 'intake', stop: () => this.#stop() });
    this.#schedule();
  }

  /**
   * Looks once.
   *
   * @returns how many rows were deleted.
   */
  async sweep(): Promise<number> {
    const deleted = await this.#deleteBelow(this.#mark);
    this.#mark = await this.#look();
    return deleted;
  }

  #schedule(): void {
    this.#timer = this.clock.setTimer(
      OUTBOX_SWEEP_INTERVAL_MS,
      () => {
        this.#sweeping = this.#sweepAndGoOn();
      },
      { unref: true },
    );
  }

  async #sweepAndGoOn(): Promise<void> {
    try {
      await this.sweep();
    } catch (error) {
      this.#logger.warn(
        `Old events stay until the next sweep: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    if (!this.#stopped) {
      this.#schedule();
    }
  }

  #stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    return this.#sweeping;
  }

  async #deleteBelow(mark: Mark | undefined): Promise<number> {
    if (mark === undefined || !(await this.#isRelayed(mark))) {
      return 0;
    }
    const old = {
      id: LessThanOrEqual(mark.lastId),
      createdAt: LessThan(formatInstant(this.clock.now() - OUTBOX_RETENTION_MS)),
    };
    let deleted = 0;
    for (let found = MAX_ROWS_PER_STATEMENT; found === MAX_ROWS_PER_STATEMENT && !this.#stopped; deleted += found) {
      // The first rows by id are the oldest: the first page that is not full ends the sweep.
      const rows = await this.dataSource.manager.find(ForecastOutboxEntity, {
        select: { id: true },
        where: old,
        order: { id: 'ASC' },
        take: MAX_ROWS_PER_STATEMENT,
      });
      await this.dataSource.manager.delete(ForecastOutboxEntity, { id: In(rows.map(({ id }) => id)) });
      found = rows.length;
      await nextTurn();
    }
    return deleted;
  }

  async #isRelayed({ epoch, version }: Mark): Promise<boolean> {
    const checkpoint = await this.checkpoints.load({
      consumer: APP_NAME,
      source: this.source.name,
      table: OUTBOX_TABLE,
    });
    return checkpoint?.phase.kind === 'streaming' && checkpoint.epoch === epoch && checkpoint.phase.version >= version;
  }

  /** The id first, the version second: every row up to that id is committed at or below that version. */
  async #look(): Promise<Mark> {
    const lastId = (await this.dataSource.manager.maximum(ForecastOutboxEntity, 'id')) ?? 0;
    const { epoch, currentVersion } = await this.source.state([OUTBOX_TABLE]);
    return { lastId, epoch, version: currentVersion };
  }
}
