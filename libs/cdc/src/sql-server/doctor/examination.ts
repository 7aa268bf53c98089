import { bigintIn, firstOf, optionalBigintIn, optionalTextIn, setOf, textIn, truthIn } from '../pool/cells.js';
import type { SqlServerAnswer, SqlServerRow } from '../pool/sql-server.pool.js';
import { retentionMsOf } from '../source/retention.js';
import { isReadableType } from '../source/table-shape.js';
import { BOOKKEEPING_TABLES, bookkeepingColumns, type BookkeepingTableName } from '../statements/bookkeeping.js';

/** What a database is like. */
export interface DatabaseExamination {
  readonly database: string;
  /** The user that the login is in this database. */
  readonly user: string;
  readonly productVersion: string;
  /** 5 and 8 are Azure's, whose versions are numbers of their own. */
  readonly engineEdition: number;
  readonly compatibilityLevel: number;
  /** Whether the user may create what the bookkeeping needs. */
  readonly mayCreate: boolean;
  readonly writable: boolean;
  readonly trackingOn: boolean;
  readonly snapshotAllowed: boolean;
  /** `null` while tracking is off. */
  readonly autoCleanup: boolean | null;
  readonly retentionMs: number | null;
  readonly bookkeeping: readonly BookkeepingExamination[];
}

/** What a table of the bookkeeping is like. */
export interface BookkeepingExamination {
  readonly table: BookkeepingTableName;
  readonly exists: boolean;
  readonly mayWrite: boolean;
  /** Of one that exists: columns that it had not yet in the version that made it. */
  readonly missingColumns: readonly string[];
}

/** What a table is like. */
export interface TableExamination {
  readonly table: string;
  readonly exists: boolean;
  readonly maySelect: boolean;
  readonly mayTrack: boolean;
  readonly tracked: boolean;
  readonly columnsTracked: boolean;
  readonly hasKey: boolean;
  /** Columns whose values changes cannot carry. */
  readonly unreadable: readonly { readonly column: string; readonly type: string }[];
  /** Columns of the key that are compared by a collation which takes several spellings for one. */
  readonly looseKeys: readonly { readonly column: string; readonly collation: string }[];
  /** Versions that are not valid any more and not cleaned up yet. */
  readonly waitingForCleanup: bigint;
}

/** Reads an answer of `examineDatabase`. */
export function readDatabase(answer: SqlServerAnswer): DatabaseExamination {
  const about = firstOf(answer, 0) ?? [];
  const tracking = firstOf(answer, 2);
  return {
    productVersion: optionalTextIn(about, 0) ?? 'unknown',
    engineEdition: Number(optionalBigintIn(about, 5) ?? 0n),
    compatibilityLevel: Number(optionalBigintIn(firstOf(answer, 1) ?? [], 2) ?? 0n),
    mayCreate: truthIn(about, 6) && truthIn(about, 7),
    database: textIn(about, 1),
    user: optionalTextIn(about, 2) ?? 'unknown',
    writable: optionalTextIn(about, 3) !== 'READ_ONLY',
    trackingOn: optionalBigintIn(about, 4) !== null,
    snapshotAllowed: truthIn(firstOf(answer, 1) ?? [], 0),
    autoCleanup: tracking === undefined ? null : truthIn(tracking, 0),
    retentionMs: tracking === undefined ? null : retentionMsOf(tracking, 1),
    bookkeeping: BOOKKEEPING_TABLES.map((table, index) => readBookkeeping(table, index, answer)),
  };
}

function readBookkeeping(table: BookkeepingTableName, index: number, answer: SqlServerAnswer): BookkeepingExamination {
  const id = optionalBigintIn(firstOf(answer, 3) ?? [], index);
  const columns = setOf(answer, 5).flatMap((row) => (bigintIn(row, 0) === id ? [textIn(row, 1)] : []));
  return {
    table,
    exists: id !== null,
    mayWrite: truthIn(firstOf(answer, 4) ?? [], index),
    missingColumns: id === null ? [] : bookkeepingColumns(table).filter((column) => !columns.includes(column)),
  };
}

/** Reads an answer of `describeTable`. */
export function readTable(table: string, answer: SqlServerAnswer): TableExamination {
  const about = firstOf(answer, 0) ?? [];
  const tracking = firstOf(answer, 2);
  return {
    table,
    exists: optionalBigintIn(about, 0) !== null,
    maySelect: truthIn(about, 2),
    mayTrack: truthIn(about, 3),
    tracked: tracking !== undefined,
    columnsTracked: tracking !== undefined && truthIn(tracking, 0),
    hasKey: setOf(answer, 4).length > 0,
    unreadable: setOf(answer, 3)
      .map((row) => ({ column: textIn(row, 1), type: optionalTextIn(row, 2) ?? 'unknown' }))
      .filter(({ type }) => !isReadableType(type)),
    looseKeys: looseKeysIn(answer),
    waitingForCleanup: tracking === undefined ? 0n : waitingIn(tracking),
  };
}

/** Binary collations and those that heed case and accents take no two letters for one. */
const EXACT_COLLATION = /_BIN2?(_|$)|_CS_AS/;

function looseKeysIn(answer: SqlServerAnswer): TableExamination['looseKeys'] {
  const key = new Set(setOf(answer, 4).map((row) => bigintIn(row, 0)));
  return setOf(answer, 3).flatMap((row) => {
    const collation = optionalTextIn(row, 7);
    const loose = key.has(bigintIn(row, 0)) && collation !== null && !EXACT_COLLATION.test(collation);
    return loose ? [{ column: textIn(row, 1), collation }] : [];
  });
}

/** What is below the oldest valid version and above both what was cleaned up and where tracking began. */
function waitingIn(tracking: SqlServerRow): bigint {
  const [begin, oldest, cleaned] = [bigintIn(tracking, 1), bigintIn(tracking, 2), optionalBigintIn(tracking, 3) ?? 0n];
  const from = cleaned > begin ? cleaned : begin;
  return oldest > from ? oldest - from : 0n;
}
