import {
  changeTableNeedsAlias,
  tableNotTracked,
  versionArguments,
  versionColumnCount,
  versionColumnNotInKey,
  versionColumnTwice,
} from '../../errors/object-faults.js';
import { invalidObject } from '../../errors/query-faults.js';
import { metadataChanged } from '../../errors/transaction-faults.js';
import { assertAllowed, assertPrimary, assertReadable } from '../../security/permissions.js';
import { type Column } from '../../storage/column.js';
import { type Table } from '../../storage/table.js';
import { type Change } from '../../tracking/change.js';
import { type NetChange, netChanges } from '../../tracking/net-changes.js';
import { type TableTracking } from '../../tracking/table-tracking.js';
import { BIGINT, nchar, varbinary } from '../../values/value-type.js';
import { type Expression, type TableSource } from '../parse/ast.js';
import { into } from './conversion.js';
import { type ExpressionCompiler } from './expression.compiler.js';
import { type Run } from './frame.js';
import { type LeafReader, type LeafRow } from './row-source.js';
import { type ScopeColumn } from './scope.js';
import { snapshotOf } from './table-access.js';

/** A leaf before it has a name. */
interface UnnamedLeaf {
  readonly columns: readonly ScopeColumn[];
  readonly reader: LeafReader;
}

const VERSION: ScopeColumn = { name: 'SYS_CHANGE_VERSION', type: BIGINT };
const CONTEXT: ScopeColumn = { name: 'SYS_CHANGE_CONTEXT', type: varbinary(128) };

/** `CHANGETABLE(CHANGES table, version)`. @throws 208, 22104, 22105, 229 */
export function changesReader(
  source: TableSource & { readonly kind: 'changes' },
  expressions: ExpressionCompiler,
  found: Table | undefined,
): UnnamedLeaf {
  const { table, keys } = trackedTable(source, expressions, found);
  const since = into(expressions.expression(source.since), BIGINT);
  return {
    columns: [
      VERSION,
      { name: 'SYS_CHANGE_CREATION_VERSION', type: BIGINT },
      { name: 'SYS_CHANGE_OPERATION', type: nchar(1) },
      { name: 'SYS_CHANGE_COLUMNS', type: varbinary(4_100) },
      CONTEXT,
      ...keys.map(({ name, type }) => ({ name, type })),
    ],
    reader: {
      all: (frame) => {
        const { log, upTo } = visibleLog(table, frame.run);
        const after = since(frame) as bigint | null;
        // NULL is everything. A version below zero is nothing, as one above the current version is.
        return after !== null && after < 0n ? [] : changeRows(netChanges(log, after ?? 0n, upTo));
      },
      // By SYS_CHANGE_VERSION.
      sortedBy: 0,
    },
  };
}

function* changeRows(changes: Iterable<NetChange>): Generator<LeafRow> {
  for (const { version, creationVersion, operation, columns, context, keyValues } of changes) {
    yield { row: [version, creationVersion, operation, columns, context, ...keyValues] };
  }
}

/** `CHANGETABLE(VERSION table, (columns), (values))`. @throws 208, 22104, 22105, 22103, 22110, 22111, 22112, 229 */
export function versionReader(
  source: TableSource & { readonly kind: 'version' },
  expressions: ExpressionCompiler,
  found: Table | undefined,
): UnnamedLeaf {
  const { table, keys } = trackedTable(source, expressions, found);
  const names = source.keys.map((name) => name.toLowerCase());
  const stranger = source.keys.find((name) => !keys.some((key) => key.name.toLowerCase() === name.toLowerCase()));
  if (stranger !== undefined) {
    throw versionColumnNotInKey(stranger, table.name);
  }
  const twice = source.keys.find((name, at) => names.indexOf(name.toLowerCase()) !== at);
  if (twice !== undefined) {
    throw versionColumnTwice(twice);
  }
  if (names.length !== keys.length) {
    throw versionColumnCount(table.name);
  }
  if (source.values.length !== names.length) {
    throw versionArguments();
  }
  const values = keys.map(({ name, type }) => {
    const at = names.indexOf(name.toLowerCase());
    return into(expressions.expression(source.values[at] as Expression), type);
  });
  return {
    columns: [VERSION, CONTEXT, ...keys.map(({ name, type }) => ({ name, type }))],
    reader: {
      lateral: true,
      all: (frame) => {
        const keyValues = values.map((read) => read(frame));
        const change = lastChange(table, table.keyOf(keyValues), frame.run);
        return [{ row: [change?.version ?? null, change?.context ?? null, ...keyValues] }];
      },
    },
  };
}

function trackedTable(
  source: TableSource & { readonly kind: 'changes' | 'version' },
  { environment: { session } }: ExpressionCompiler,
  table: Table | undefined,
): { readonly table: Table; readonly keys: readonly Column[] } {
  if (source.alias === undefined) {
    throw changeTableNeedsAlias();
  }
  if (table === undefined) {
    throw invalidObject(source.name.join('.'));
  }
  if (table.tracking === undefined) {
    throw tableNotTracked(source.name.join('.'));
  }
  assertAllowed(session, 'VIEW CHANGE TRACKING', table);
  const keys = (table.primaryKey?.columns ?? []).map((at) => table.columns[at] as Column);
  const onUse = assertReadable(session, table);
  keys.forEach(({ name }) => onUse?.(name));
  return { table, keys };
}

/** What the transaction sees of the log: committed changes, as of its snapshot if it has one. @throws 22117, 22105, 3952, 3961 */
function visibleLog(table: Table, run: Run): { readonly log: readonly Change[]; readonly upTo: bigint } {
  assertPrimary(table.database);
  const tracking = trackingOf(table);
  const snapshot = snapshotOf(table.database, run);
  if (snapshot !== undefined && table.schemaSequence > snapshot.sequence) {
    throw metadataChanged(table.database.name);
  }
  return {
    log: snapshot?.logs.get(tracking) ?? tracking.log,
    upTo: snapshot?.versions.get(table.database) ?? table.database.changeTracking.version,
  };
}

/** The last committed change of a key; a change that the transaction has not committed hides it. */
function lastChange(table: Table, key: string, run: Run): Change | undefined {
  const { log, upTo } = visibleLog(table, run);
  if (run.transaction.changes.some((one) => one.tracking === table.tracking && one.key === key)) {
    return undefined;
  }
  return log.findLast((one) => one.key === key && one.version <= upTo);
}

function trackingOf(table: Table): TableTracking {
  if (table.tracking === undefined) {
    throw tableNotTracked(table.name);
  }
  return table.tracking;
}
