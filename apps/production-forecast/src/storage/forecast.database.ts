import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { OutsideCopy } from '@smartpulse/data-sync';
import { openRecordStore, type RecordStore } from '@smartpulse/redis-cache';
import { type Clock } from '@smartpulse/resilience';
import { type CacheAddress, type DatabaseAddress } from '../production-forecast.parts.js';
import { ownName } from '../sync/forecast.sync.js';
import { checkForecastDatabase, migrateForecastDatabase } from './forecast.data-source.js';

/** What a {@link ForecastDatabase} is opened with. */
export interface ForecastDatabaseOptions {
  /** Names the embedded database in changes, positions and stamps. */
  readonly name: string;
  /** Where SQL Server is. Default: embedded. */
  readonly server?: DatabaseAddress | undefined;
  /** Makes what that server lacks: tables, their tracking, the bookkeeping. Needs the rights to, and one process at a time. Default `false`. */
  readonly migrate?: boolean | undefined;
  /** Of the embedded database. Default: in memory. */
  readonly file?: string | undefined;
  /** Where the copy of its epoch and positions is kept; an embedded cache ends with the process and keeps none. */
  readonly cache: CacheAddress | undefined;
  readonly installation?: string | undefined;
  readonly clock: Clock;
}

const DAY_MS = 86_400_000;

/** The database of an installation, and what is known of it in its Redis: a file that was restored from a backup is noticed by that. */
export class ForecastDatabase {
  private constructor(
    readonly database: EmbeddedDatabase | DatabaseAddress,
    /** `undefined` = there is no Redis to keep it in. */
    readonly outside: OutsideCopy | undefined,
    private readonly records: RecordStore | undefined,
  ) {}

  /** Opens the embedded database above every epoch that the copy knows of; on SQL Server it makes what is missing, where that is wanted. */
  static async open(options: ForecastDatabaseOptions): Promise<ForecastDatabase> {
    const { name, server, migrate, file, cache, installation, clock } = options;
    // A database in memory ends with its process: what is known of it is of no use for long.
    const lifeMs = server === undefined && (file === undefined || file === ':memory:') ? DAY_MS : undefined;
    const records = cache && (await openRecordStore({ url: cache.url, prefix: ownName(installation), lifeMs, clock }));
    const outside = records && new OutsideCopy(records, clock);
    try {
      if (server !== undefined) {
        await (migrate === true ? migrateForecastDatabase(server) : checkForecastDatabase(server));
        return new ForecastDatabase(server, outside, records);
      }
      const database = EmbeddedDatabase.open({ name, file, clock, outsideEpoch: await outside?.epochOf(name) });
      await outside?.noteEpoch(name, database.epoch);
      return new ForecastDatabase(database, outside, records);
    } catch (error) {
      await records?.close();
      throw error;
    }
  }

  /** Closes both; nobody may use them any more. */
  async close(): Promise<void> {
    if (this.database instanceof EmbeddedDatabase) {
      await this.database.close();
    }
    await this.records?.close();
  }
}
