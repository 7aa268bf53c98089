import {
  type Checkpoint,
  type CheckpointKey,
  CheckpointStore,
  type SaveOutcome,
} from '../../checkpoint/checkpoint.store.js';
import { columnsOf, phaseOf } from '../../checkpoint/phase-columns.js';
import { bigintIn, firstOf, optionalBigintIn, optionalTextIn, textIn } from '../pool/cells.js';
import type { SqlServerStatements } from '../pool/sql-server.statements.js';
import type { SqlServerRow } from '../pool/sql-server.pool.js';
import { SqlServerAnswerError } from '../sql-server.errors.js';
import { addCheckpoint, type CheckpointRow, loadCheckpoint, moveCheckpoint } from '../statements/checkpoints.js';
import type { SqlServerStatement } from '../statements/statement.js';

/**
 * Positions in a table of the source database, which is not tracked: they go back with the data when the database is restored, so a copy
 * outside of it (`withOutsideCopy` of `@smartpulse/data-sync`) shows that it was.
 */
export class SqlServerCheckpointStore extends CheckpointStore {
  override readonly durable = true;
  readonly #statements: SqlServerStatements;

  constructor(statements: SqlServerStatements) {
    super();
    this.#statements = statements;
  }

  override async load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    const { schema, limits } = this.#statements;
    const row = firstOf(await this.#statements.run(loadCheckpoint(key, schema, limits)), 0);
    return row === undefined ? undefined : toCheckpoint(key, row);
  }

  override async save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    const { schema, limits } = this.#statements;
    const { phase, upToDateAtMs: atMs, ...rest } = checkpoint;
    const upToDateAtMs = atMs === null ? null : BigInt(Math.round(atMs));
    const row: CheckpointRow = { ...rest, upToDateAtMs, ...columnsOf(phase), fence };
    const move = moveCheckpoint(row, schema, limits);
    // Nearly always the first; it also finds nothing before the first position, which another may store in between.
    const saved =
      (await this.#wrote(move)) || (await this.#wrote(addCheckpoint(row, schema, limits))) || (await this.#wrote(move));
    return saved ? 'saved' : 'fenced';
  }

  async #wrote(statement: SqlServerStatement): Promise<boolean> {
    return firstOf(await this.#statements.run(statement), 0) !== undefined;
  }
}

/** Columns in the order of `CHECKPOINT_COLUMNS`. */
function toCheckpoint({ consumer, source, table }: CheckpointKey, row: SqlServerRow): Checkpoint {
  const phase = phaseOf({
    phase: textIn(row, 5),
    reason: optionalTextIn(row, 6),
    version: bigintIn(row, 7),
    cursorVersion: optionalBigintIn(row, 8),
    cursorKey: optionalTextIn(row, 9),
  });
  if ('unknownReason' in phase) {
    throw new SqlServerAnswerError(
      `a checkpoint holds the reason "${phase.unknownReason}", which a later version of @smartpulse/cdc wrote`,
    );
  }
  const upToDateAtMs = optionalBigintIn(row, 10);
  return {
    consumer,
    source,
    table,
    epoch: bigintIn(row, 0),
    objectId: textIn(row, 1),
    beginVersion: bigintIn(row, 2),
    schemaHash: textIn(row, 3),
    sinkInstance: textIn(row, 4),
    // Instants are far below 2^53.
    upToDateAtMs: upToDateAtMs === null ? null : Number(upToDateAtMs),
    phase,
  };
}
