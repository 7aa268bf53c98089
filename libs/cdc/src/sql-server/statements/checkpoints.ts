import { quoteSchema } from './identifier.js';
import {
  big,
  longText,
  session,
  type SqlServerParameter,
  type SqlServerStatement,
  type StatementLimits,
  text,
} from './statement.js';

/** Names a row of the checkpoint table. */
export interface CheckpointRowKey {
  readonly consumer: string;
  readonly source: string;
  readonly table: string;
}

/** A row of the checkpoint table. */
export interface CheckpointRow extends CheckpointRowKey {
  readonly fence: bigint;
  readonly epoch: bigint;
  readonly objectId: string;
  readonly beginVersion: bigint;
  readonly schemaHash: string;
  readonly sinkInstance: string;
  readonly phase: string;
  readonly reason: string | null;
  readonly version: bigint;
  readonly cursorVersion: bigint | null;
  readonly cursorKey: string | null;
  readonly upToDateAtMs: bigint | null;
}

/** What {@link loadCheckpoint} answers, in this order, and what a save writes. */
export const CHECKPOINT_COLUMNS = Object.freeze([
  'epoch',
  'object_id',
  'begin_version',
  'schema_hash',
  'sink_instance',
  'phase',
  'reason',
  'version',
  'cursor_version',
  'cursor_key',
  'up_to_date_at_ms',
] as const);

const COLUMNS = CHECKPOINT_COLUMNS.join(', ');
const WHERE = 'consumer = @consumer AND source = @source AND table_name = @table_name';

/** The position of a consumer in a table. */
export function loadCheckpoint(key: CheckpointRowKey, schema: string, limits: StatementLimits): SqlServerStatement {
  return {
    name: 'loadCheckpoint',
    sql: `${session('READ COMMITTED', limits)}
SELECT ${COLUMNS} FROM ${tableIn(schema)} WHERE ${WHERE};`,
    parameters: keyParametersOf(key),
  };
}

/** Moves a position; answers one row when it did, none when there is no position yet or a newer holder's fence stands there. */
export function moveCheckpoint(row: CheckpointRow, schema: string, limits: StatementLimits): SqlServerStatement {
  return {
    name: 'moveCheckpoint',
    sql: `${session('READ COMMITTED', limits)}
UPDATE ${tableIn(schema)} SET fence = @fence, ${CHECKPOINT_COLUMNS.map((column) => `${column} = @${column}`).join(', ')}, updated_at = SYSUTCDATETIME()
OUTPUT inserted.fence WHERE ${WHERE} AND fence <= @fence;`,
    parameters: parametersOf(row),
  };
}

/** The first position of a consumer; answers one row when it was stored, none when there is one. The range lock keeps two from storing it. */
export function addCheckpoint(row: CheckpointRow, schema: string, limits: StatementLimits): SqlServerStatement {
  return {
    name: 'addCheckpoint',
    sql: `${session('READ COMMITTED', limits)}
INSERT INTO ${tableIn(schema)} (consumer, source, table_name, fence, ${COLUMNS}, updated_at)
OUTPUT inserted.fence
SELECT @consumer, @source, @table_name, @fence, ${CHECKPOINT_COLUMNS.map((column) => `@${column}`).join(', ')}, SYSUTCDATETIME()
WHERE NOT EXISTS (SELECT 1 FROM ${tableIn(schema)} WITH (UPDLOCK, HOLDLOCK) WHERE ${WHERE});`,
    parameters: parametersOf(row),
  };
}

function tableIn(schema: string): string {
  return `${quoteSchema(schema)}.[cdc_checkpoint]`;
}

function keyParametersOf({ consumer, source, table }: CheckpointRowKey): readonly SqlServerParameter[] {
  return [text('consumer', consumer), text('source', source), text('table_name', table)];
}

function parametersOf(row: CheckpointRow): readonly SqlServerParameter[] {
  return [
    ...keyParametersOf(row),
    big('fence', row.fence),
    big('epoch', row.epoch),
    text('object_id', row.objectId),
    big('begin_version', row.beginVersion),
    text('schema_hash', row.schemaHash),
    text('sink_instance', row.sinkInstance),
    text('phase', row.phase),
    text('reason', row.reason),
    big('version', row.version),
    big('cursor_version', row.cursorVersion),
    longText('cursor_key', row.cursorKey),
    big('up_to_date_at_ms', row.upToDateAtMs),
  ];
}
