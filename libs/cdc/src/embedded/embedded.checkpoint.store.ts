import {
  type Checkpoint,
  type CheckpointKey,
  type CheckpointPhase,
  CheckpointStore,
  type SaveOutcome,
} from '../checkpoint/checkpoint.store.js';
import { columnsOf, phaseOf } from '../checkpoint/phase-columns.js';
import type { EmbeddedDatabase } from './embedded.database.js';
import { EmbeddedStatementError } from './embedded.errors.js';
import { integerOf, optionalIntegerOf, optionalTextOf, type SqlRow, textOf } from './sql/sql-value.js';

/**
 * Positions in a table of the database itself, which is not tracked: they roll back with the data when the file is restored. Durable if
 * the database is a file.
 */
export class EmbeddedCheckpointStore extends CheckpointStore {
  readonly #database: EmbeddedDatabase;

  constructor(database: EmbeddedDatabase) {
    super();
    this.#database = database;
  }

  override get durable(): boolean {
    return this.#database.durable;
  }

  override load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    return this.#database.read('load checkpoint', ({ connection }) => {
      const row = connection.get(
        'SELECT * FROM smartpulse_checkpoint WHERE consumer = ? AND source = ? AND table_name = ?',
        key.consumer,
        key.source,
        key.table,
      );
      return row === undefined ? undefined : toCheckpoint(key, row);
    });
  }

  override save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    const columns = columnsOf(checkpoint.phase);
    return this.#database.write('save checkpoint', ({ connection }) => {
      const saved = connection.run(
        `INSERT INTO smartpulse_checkpoint (consumer, source, table_name, fence, epoch, object_id, begin_version, schema_hash,
            sink_instance, up_to_date_at_ms, phase, reason, version, cursor_version, cursor_key)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (consumer, source, table_name) DO UPDATE SET fence = excluded.fence, epoch = excluded.epoch,
            object_id = excluded.object_id, begin_version = excluded.begin_version, schema_hash = excluded.schema_hash,
            sink_instance = excluded.sink_instance, up_to_date_at_ms = excluded.up_to_date_at_ms, phase = excluded.phase, reason = excluded.reason, version = excluded.version,
            cursor_version = excluded.cursor_version, cursor_key = excluded.cursor_key
          WHERE excluded.fence >= fence`,
        checkpoint.consumer,
        checkpoint.source,
        checkpoint.table,
        fence,
        checkpoint.epoch,
        checkpoint.objectId,
        checkpoint.beginVersion,
        checkpoint.schemaHash,
        checkpoint.sinkInstance,
        checkpoint.upToDateAtMs === null ? null : BigInt(Math.round(checkpoint.upToDateAtMs)),
        columns.phase,
        columns.reason,
        columns.version,
        columns.cursorVersion,
        columns.cursorKey,
      );
      return saved === 0 ? 'fenced' : 'saved';
    });
  }
}

function toCheckpoint({ consumer, source, table }: CheckpointKey, row: SqlRow): Checkpoint {
  return {
    consumer,
    source,
    table,
    epoch: integerOf(row, 'epoch'),
    objectId: textOf(row, 'object_id'),
    beginVersion: integerOf(row, 'begin_version'),
    schemaHash: textOf(row, 'schema_hash'),
    sinkInstance: textOf(row, 'sink_instance'),
    upToDateAtMs: millisecondsOf(optionalIntegerOf(row, 'up_to_date_at_ms')),
    phase: toPhase(row),
  };
}

function toPhase(row: SqlRow): CheckpointPhase {
  const read = phaseOf({
    phase: textOf(row, 'phase'),
    reason: optionalTextOf(row, 'reason'),
    version: integerOf(row, 'version'),
    cursorVersion: optionalIntegerOf(row, 'cursor_version'),
    cursorKey: optionalTextOf(row, 'cursor_key'),
  });
  if ('unknownReason' in read) {
    throw new EmbeddedStatementError(
      `A checkpoint holds the unknown reason "${read.unknownReason}".`,
      'Open the file with the version of @smartpulse/cdc that wrote it.',
    );
  }
  return read;
}

/** Instants are far below 2^53. */
function millisecondsOf(integer: bigint | null): number | null {
  return integer === null ? null : Number(integer);
}
