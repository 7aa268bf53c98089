import { Inject, Injectable, Logger } from '@nestjs/common';
import { type AutoBatchWorker, type BatchOutcome, BatchRegistry } from '@smartpulse/batch';
import { DataSync } from '@smartpulse/data-sync';
import { type ForecastKey } from '@smartpulse/production-forecast-contract';
import { DataSource, type EntityManager } from 'typeorm';
import { RequestRefusedError } from '../http/problem/problem-details.js';
import { MAX_FORECASTS } from '../domain/delivery.js';
import { forecastSync } from '../sync/forecast.sync.js';
import { asThisApp, isContention } from '../storage/sql-server.js';
import { ForecastWriter, type Written } from './forecast.writer.js';
import { type SaveRequest, type SaveResult } from './save-request.js';

/** A batch is one transaction: its rows bound how long the database is held. */
const MAX_BATCH_ROWS = 2 * MAX_FORECASTS;
const MAX_BATCH_REQUESTS = 100;
/** A transaction that the server gave up is tried so often in all. */
const MAX_ATTEMPTS = 4;
/** Rows waiting in memory; above it callers are told to come again. */
const CAPACITY_ROWS = 20 * MAX_FORECASTS;

/**
 * Saves requests in batches: one transaction a batch, because the commit is what costs, and a savepoint a request, so that one that fails
 * takes nothing of the others with it.
 */
@Injectable()
export class ForecastSaver {
  readonly #logger = new Logger(ForecastSaver.name);
  readonly #worker: AutoBatchWorker<SaveRequest, SaveResult>;

  constructor(
    @Inject(BatchRegistry) batches: BatchRegistry,
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(ForecastWriter) private readonly writer: ForecastWriter,
    @Inject(DataSync) private readonly dataSync: Pick<DataSync, 'committed'>,
  ) {
    this.#worker = batches.createWorker<SaveRequest, SaveResult>({
      name: 'forecast-saver',
      maxBatchItems: MAX_BATCH_REQUESTS,
      maxBatchWeight: MAX_BATCH_ROWS,
      capacityWeight: CAPACITY_ROWS,
      overflow: 'reject',
      weigh: (request) => request.deliveries.length,
      handler: (requests) => this.#saveBatch(requests),
    });
  }

  /**
   * Resolves when the request is committed and this replica's readers see it.
   *
   * @throws RequestRefusedError when the request is refused: 412, 409.
   * @throws `QueueFullError` when too many rows wait, `WorkerStoppedError` while the app stops.
   */
  save(request: SaveRequest): Promise<SaveResult> {
    return this.#worker.submit(request);
  }

  async #saveBatch(requests: readonly SaveRequest[]): Promise<readonly BatchOutcome<SaveResult>[]> {
    const written = await this.#write(requests);
    await this.#tellReaders(written.flatMap((one) => (one instanceof Error ? [] : one.keys)));
    return written.map((one) =>
      one instanceof Error
        ? { status: 'rejected', error: one, retryable: !(one instanceof RequestRefusedError) }
        : { status: 'fulfilled', value: one.result },
    );
  }

  /**
   * One transaction, again from the start where the server gave it up for another writer's sake. Serializable: what a request was decided by,
   * also that there was nothing, holds until it is committed.
   */
  async #write(requests: readonly SaveRequest[]): Promise<readonly (Written | Error)[]> {
    for (let attempt = 1; ; attempt++) {
      const written: (Written | Error)[] = [];
      try {
        await this.dataSource.transaction('SERIALIZABLE', async (manager) => {
          for (const request of requests) {
            written.push(await this.#saveOne(manager, request));
          }
        });
        return written;
      } catch (error) {
        if (attempt === MAX_ATTEMPTS || !isContention(error)) {
          throw error;
        }
      }
    }
  }

  /** A transaction within a transaction is a savepoint: a failure takes back this request and nothing else. */
  async #saveOne(manager: EntityManager, request: SaveRequest): Promise<Written | Error> {
    try {
      return await manager.transaction((savepoint) =>
        asThisApp(savepoint, (tagged) => this.writer.write(tagged, request)),
      );
    } catch (error) {
      if (isContention(error)) {
        // The whole transaction is gone, not this request alone.
        throw error;
      }
      return error instanceof Error ? error : new Error('A save failed.', { cause: error });
    }
  }

  /** The rows are committed whatever happens here: readers of this replica then wait for the change tracker like all others. */
  async #tellReaders(keys: readonly ForecastKey[]): Promise<void> {
    if (keys.length === 0) {
      return;
    }
    const onePerDay = new Map(keys.map((key) => [forecastSync.keyOf(key), key]));
    try {
      await this.dataSync.committed(forecastSync, [...onePerDay.values()]);
    } catch (error) {
      this.#logger.warn(
        `Saved forecasts could not be invalidated at once, the change tracker will: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}
