import {
  type Checkpoint,
  type CheckpointKey,
  type CheckpointPhase,
  CheckpointStore,
  type SaveOutcome,
} from '../checkpoint/checkpoint.store.js';
import type { ResyncReason } from '../sink/change.sink.js';
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
    const { phase } = checkpoint;
    const bootstrap = phase.kind === 'bootstrap';
    return this.#database.write('save checkpoint', ({ connection }) => {
      const saved = connection.run(
        `INSERT INTO smartpulse_checkpoint (consumer, source, table_name, fence, epoch, object_id, begin_version, schema_hash,
            sink_instance, phase, reason, version, cursor_version, cursor_key)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
          ON CONFLICT (consumer, source, table_name) DO UPDATE SET fence = excluded.fence, epoch = excluded.epoch,
            object_id = excluded.object_id, begin_version = excluded.begin_version, schema_hash = excluded.schema_hash,
            sink_instance = excluded.sink_instance, phase = excluded.phase, reason = excluded.reason, version = excluded.version,
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
        phase.kind,
        bootstrap ? phase.reason : null,
        bootstrap ? phase.fromVersion : phase.version,
        bootstrap ? null : (phase.cursor?.version ?? null),
        bootstrap ? phase.afterKey : (phase.cursor?.key ?? null),
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
    phase: toPhase(row),
  };
}

function toPhase(row: SqlRow): CheckpointPhase {
  const version = integerOf(row, 'version');
  const key = optionalTextOf(row, 'cursor_key');
  if (row['phase'] === 'bootstrap') {
    return { kind: 'bootstrap', reason: reasonOf(textOf(row, 'reason')), fromVersion: version, afterKey: key };
  }
  const cursorVersion = optionalIntegerOf(row, 'cursor_version');
  return {
    kind: 'streaming',
    version,
    cursor: cursorVersion === null || key === null ? null : { version: cursorVersion, key },
  };
}

// A record, so that the compiler misses one that is added to the type.
const REASONS: Readonly<Record<ResyncReason, true>> = Object.freeze({
  firstStart: true,
  requested: true,
  newSinkInstance: true,
  checkpointExpired: true,
  tableTruncated: true,
  tableReplaced: true,
  schemaChanged: true,
  epochChanged: true,
  sourceRolledBack: true,
});

function isReason(text: string): text is ResyncReason {
  return Object.hasOwn(REASONS, text);
}

function reasonOf(text: string): ResyncReason {
  if (!isReason(text)) {
    throw new EmbeddedStatementError(
      `A checkpoint holds the unknown reason "${text}".`,
      'Open the file with the version of @smartpulse/cdc that wrote it.',
    );
  }
  return text;
}
