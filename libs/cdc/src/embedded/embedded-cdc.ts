import type { DataSource, EntityManager } from 'typeorm';
import type { CheckpointStore } from '../checkpoint/checkpoint.store.js';
import type { Leadership } from '../leadership/leadership.js';
import type { PollSignal } from '../poll/poll-signal.js';
import type { ChangeSource } from '../source/change.source.js';
import type { StampedReader } from '../stamp/stamped.reader.js';
import { EmbeddedChangeSource } from './source/embedded.change.source.js';
import { EmbeddedCheckpointStore } from './embedded.checkpoint.store.js';
import type { EmbeddedDatabase } from './embedded.database.js';
import { EmbeddedLeadership, type EmbeddedLeadershipOptions } from './embedded.leadership.js';
import { EmbeddedPollSignal } from './embedded.poll-signal.js';
import { EmbeddedStampedReader } from './embedded.stamped.reader.js';

/** The parts of change capture on an embedded database. */
export interface EmbeddedCdcParts {
  readonly source: ChangeSource;
  readonly checkpoints: CheckpointStore;
  readonly leadership: Leadership;
  readonly pollSignal: PollSignal;
  /** Only with a data source to read from. */
  readonly stampedReader?: StampedReader<EntityManager>;
}

/**
 * All parts that `CdcModule.forRoot` needs, on one database. Call it once per app: each has leases of its own.
 *
 * @param dataSource the app's, for readers of a synchronised cache.
 * @example
 * ```ts
 * CdcModule.forRootAsync({ inject: [DataSource], useFactory: (dataSource: DataSource) => embeddedCdc(database, dataSource) });
 * ```
 */
export function embeddedCdc(
  database: EmbeddedDatabase,
  dataSource?: DataSource,
  leadership?: EmbeddedLeadershipOptions,
): EmbeddedCdcParts {
  const parts = {
    source: new EmbeddedChangeSource(database),
    checkpoints: new EmbeddedCheckpointStore(database),
    leadership: new EmbeddedLeadership(database, leadership),
    pollSignal: new EmbeddedPollSignal(database),
  };
  return dataSource === undefined
    ? parts
    : { ...parts, stampedReader: new EmbeddedStampedReader(database, dataSource) };
}
