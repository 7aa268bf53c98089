import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { databaseFindings, tableFindings } from '../doctor/findings.js';
import { hexOf } from '../pool/cells.js';
import { encodeChangeContext } from '../source/change-context.js';
import { tagStatements } from '../typeorm/tag-statements.js';
import { createBookkeeping } from './bookkeeping.js';
import { addCheckpoint, type CheckpointRow, loadCheckpoint, moveCheckpoint } from './checkpoints.js';
import type { SqlServerColumn, SqlServerKeyColumn } from './column-sql.js';
import { adoptFork, raiseEpoch, readStamp } from './epochs.js';
import { quoteName, quoteTable } from './identifier.js';
import { askForLease, leaveReplicas, releaseLease, renewLeases, takeLease } from './leases.js';
import { describeTable, examineDatabase, lookAtSource, repeatLook } from './look-at-source.js';
import { findMigrations, lowerIsolation, readMigrations } from './on-data-source.js';
import { type ReadableTable, readChanges, readRows } from './read-changes.js';
import { restoreSettings, type SqlServerStatement } from './statement.js';

const LIMITS = { lockTimeoutMs: 5_000 };
const SCHEMA = 'smartpulse';

const column = (id: number, name: string, declaredType: string, kind: SqlServerColumn['kind']): SqlServerKeyColumn => ({
  id,
  name,
  declaredType,
  kind,
  collation: kind === 'text' ? 'Latin1_General_100_CI_AS' : null,
  descending: false,
});

const ID = column(1, 'id', 'bigint', 'bigint');
const STOCK: ReadableTable = {
  table: 'dbo.stock',
  key: [ID],
  columns: [ID, column(2, 'level', 'int', 'integer'), column(3, 'note', 'nvarchar(200)', 'text')],
  maskColumnIds: [2, 3],
};
const PROVIDER = column(1, 'provider', 'varchar(20)', 'text');
const START = { ...column(2, 'delivery start', 'datetime2(7)', 'instant'), descending: true };
const FORECAST: ReadableTable = {
  table: 'dbo.forecast',
  key: [PROVIDER, START],
  columns: [
    PROVIDER,
    START,
    column(3, 'value', 'decimal(18,6)', 'decimal'),
    column(4, 'price', 'money', 'money'),
    column(5, 'zone', 'datetimeoffset(3)', 'offsetInstant'),
    column(6, 'day', 'date', 'date'),
    column(7, 'at', 'time(7)', 'time'),
    column(8, 'owner', 'uniqueidentifier', 'uuid'),
    column(9, 'hash', 'binary(32)', 'binary'),
    column(10, 'odd ] name', 'xml', 'xml'),
  ],
  maskColumnIds: [],
};
const page = {
  ...LIMITS,
  table: STOCK,
  isolation: 'SNAPSHOT',
  after: 41n,
  cursor: null,
  limit: 1_000,
  forceSeek: false,
  schema: SCHEMA,
} as const;
const row: CheckpointRow = {
  consumer: 'publisher',
  source: 'stock',
  table: 'dbo.stock',
  fence: 7n,
  epoch: 1n,
  objectId: '245575913',
  beginVersion: 3n,
  schemaHash: 'abc',
  sinkInstance: 'broker',
  upToDateAtMs: null,
  phase: 'streaming',
  reason: null,
  version: 41n,
  cursorVersion: null,
  cursorKey: null,
};
const lease = {
  ...LIMITS,
  schema: SCHEMA,
  resource: 'cdc:publisher:stock:dbo.stock',
  owner: 'replica-1',
  ttlMs: 30_000,
};

interface Listed {
  readonly title: string;
  readonly when: string;
  readonly needs: string;
  readonly statement: SqlServerStatement;
}

const BOOKS = '`SELECT`, `INSERT`, `UPDATE` and `DELETE` on the schema of the bookkeeping';
const READS = '`SELECT` and `VIEW CHANGE TRACKING` on the table, `SELECT` on the schema of the bookkeeping';

const READING: readonly Listed[] = [
  {
    title: 'Look at the source',
    when: 'The first poll of a table, and any after which the short look below found a difference: once for all tables that are due.',
    needs:
      '`VIEW CHANGE TRACKING` on the tables (without it they look untracked), `SELECT` on the schema of the bookkeeping',
    statement: lookAtSource(['dbo.stock', 'dbo.forecast'], SCHEMA, LIMITS),
  },
  {
    title: 'Look again',
    when: 'Every poll but those, once for all tables: the numbers are the ids that the look before has found. Only where the recovery fork can be seen.',
    needs:
      '`VIEW CHANGE TRACKING` on the tables, `SELECT` on the schema of the bookkeeping; `VIEW ANY DATABASE` or the like to see the recovery fork',
    statement: repeatLook(
      [
        { table: 'dbo.stock', objectId: '245575913' },
        { table: 'dbo.forecast', objectId: '277576027' },
      ],
      SCHEMA,
      LIMITS,
    ),
  },
  {
    title: 'Restore the settings',
    when: 'On a connection on which that look failed before its end: before the next statement.',
    needs: 'no right',
    statement: restoreSettings(),
  },
  {
    title: 'Describe a table',
    when: 'At the start of its tracker, when a look finds that the table was altered, and once in ten heartbeat intervals.',
    needs: '`SELECT` and `VIEW CHANGE TRACKING` on the table',
    statement: describeTable('dbo.stock', LIMITS),
  },
  {
    title: 'Read a page of changes',
    when: 'When the version has moved, and again at once as long as pages are full.',
    needs: READS,
    statement: readChanges(page),
  },
  {
    title: 'Read on inside a version',
    when: 'When the page before ended in the middle of a transaction. The key has two columns here, one of them descending.',
    needs: READS,
    statement: readChanges({
      ...page,
      table: FORECAST,
      cursor: { version: 42n, key: ['north', '2026-11-27 20:31:05.1234567'] },
    }),
  },
  {
    title: 'Read a page by seeking',
    when: "After a page that took too long, for eight pages of its table and twice as many after each relapse (`forceSeek: 'auto'`); always by `forceSeek: true`, never by `false`.",
    needs: READS,
    statement: readChanges({ ...page, forceSeek: true }),
  },
  {
    title: 'Read a page without snapshot isolation',
    when: "Where the database does not allow snapshots (`isolation: 'auto'`), or when asked for.",
    needs: READS,
    statement: readChanges({ ...page, isolation: 'READ COMMITTED' }),
  },
  {
    title: 'Read rows of the table',
    when: 'In a bootstrap or resync, chunk by chunk; every chunk is a statement of its own.',
    needs: '`SELECT` on the table',
    statement: readRows({
      ...LIMITS,
      table: FORECAST,
      isolation: 'SNAPSHOT',
      afterKey: ['north', '2026-11-27 20:31:05.1234567'],
      limit: 1_000,
    }),
  },
  {
    title: 'Read the stamp',
    when: "Before the data of a synchronised cache, in the same snapshot; and after a commit of one's own.",
    needs: '`SELECT` on the schema of the bookkeeping',
    statement: readStamp(SCHEMA),
  },
];

const WRITING: readonly Listed[] = [
  {
    title: 'Load a position',
    when: 'When a tracker gets its lease, and after an error.',
    needs: BOOKS,
    statement: loadCheckpoint(row, SCHEMA, LIMITS),
  },
  {
    title: 'Move a position',
    when: 'After every page that the sink has accepted.',
    needs: BOOKS,
    statement: moveCheckpoint(row, SCHEMA, LIMITS),
  },
  {
    title: 'Add a position',
    when: 'The first time that a consumer follows a table.',
    needs: BOOKS,
    statement: addCheckpoint(row, SCHEMA, LIMITS),
  },
  {
    title: 'Ask for a lease',
    when: 'Before taking one.',
    needs: BOOKS,
    statement: askForLease(lease),
  },
  {
    title: 'Take a lease',
    when: 'When the replica has room in its share, or nobody else took the lease in time.',
    needs: BOOKS,
    statement: takeLease(lease, 0),
  },
  {
    title: 'Renew leases',
    when: 'Every third of their life, all that a replica holds at once; here two.',
    needs: BOOKS,
    statement: renewLeases(lease, [
      { resource: lease.resource, fence: 7n },
      { resource: 'cdc:publisher:stock:dbo.forecast', fence: 8n },
    ]),
  },
  {
    title: 'Release a lease',
    when: 'When a tracker stops or gives a table to another replica.',
    needs: BOOKS,
    statement: releaseLease({ ...lease, fence: 7n }),
  },
  {
    title: 'Leave the replicas',
    when: 'When the app closes.',
    needs: BOOKS,
    statement: leaveReplicas('replica-1', SCHEMA, LIMITS),
  },
  {
    title: 'Adopt the recovery fork',
    when: 'When a restore put the database on another recovery fork, where the user may see it; once for a row that knew of none.',
    needs: BOOKS,
    statement: adoptFork('00000000-0000-0000-0005-000000000002', SCHEMA, LIMITS),
  },
  {
    title: 'Raise the epoch',
    when: 'When the version counter went back: the database was restored, copied or failed over with loss.',
    needs: BOOKS,
    statement: raiseEpoch(1n, 0n, SCHEMA, LIMITS),
  },
];

const PREPARING: readonly Listed[] = [
  {
    title: 'Examine the database',
    when: 'By the doctor alone.',
    needs: 'a login with access to the database',
    statement: examineDatabase(SCHEMA, LIMITS),
  },
  ...createBookkeeping(SCHEMA).map((statement) => ({
    title: statement.name.charAt(0).toUpperCase() + statement.name.slice(1),
    when: statement.name.startsWith('add ')
      ? 'With the others, for a table that an earlier version made.'
      : 'Once, by whoever prepares the database.',
    needs: statement.name.startsWith('add ') ? '`ALTER` on the schema' : '`CREATE SCHEMA`, `CREATE TABLE`',
    statement,
  })),
];

/** What the doctor of a database prints in which everything is wrong. */
const UNWELL = databaseFindings(
  {
    database: 'shop',
    user: 'cdc',
    productVersion: '16.0',
    engineEdition: 3,
    compatibilityLevel: 80,
    mayCreate: true,
    writable: true,
    trackingOn: false,
    snapshotAllowed: false,
    autoCleanup: false,
    retentionMs: 6 * 3_600_000,
    bookkeeping: [{ table: 'cdc_epoch', exists: true, mayWrite: false, missingColumns: ['recovery_fork'] }],
  },
  SCHEMA,
);
const BARE = {
  table: 'dbo.stock',
  exists: true,
  maySelect: true,
  mayTrack: true,
  tracked: true,
  columnsTracked: false,
  hasKey: true,
  unreadable: [],
  looseKeys: [],
  waitingForCleanup: 0n,
};
/** Where a grant is printed, and where a setting. */
const NEEDED = {
  bookkeepingOutdated: '`ALTER` on the schema',
  bookkeepingNotWritable: '`CONTROL` on the schema',
  rightsMissing: '`CONTROL` on the table',
  tableNotTracked: '`ALTER` on the table',
  columnsNotTracked: '`ALTER` on the table',
} as const;
const MENDING: readonly Listed[] = [
  ...UNWELL,
  ...tableFindings({ ...BARE, columnsTracked: true, maySelect: false, mayTrack: false }, 'cdc'),
  ...tableFindings({ ...BARE, tracked: false }, 'cdc'),
  ...tableFindings(BARE, 'cdc', true),
].map(({ code, problem, sql }) => ({
  title: `Mend \`${code}\``,
  when: problem,
  needs: code in NEEDED ? NEEDED[code as keyof typeof NEEDED] : '`ALTER` on the database',
  statement: { name: code, sql: sql.join('\n'), parameters: [] },
}));

const TAGGED: Listed = {
  title: 'Write with a context',
  when: "An app's own statement inside of `withChangeContext`: the clause is put before each INSERT, UPDATE, DELETE and MERGE.",
  needs: "the app's own rights",
  statement: {
    name: 'tagged',
    sql: tagStatements(
      'UPDATE "dbo"."stock" SET "level" = @0 WHERE "id" = @1; DELETE FROM "dbo"."stock" WHERE "id" = @2;',
      hexOf(encodeChangeContext('importer')),
    ),
    parameters: [],
  },
};

const ON_DATA_SOURCES: readonly Listed[] = [
  {
    title: 'Lower the isolation',
    when: 'On a connection of `sqlServerDataSource` that a transaction of another isolation level had: before the next statement outside of a transaction.',
    needs: 'no right',
    statement: lowerIsolation(),
  },
  {
    title: 'Find the migrations',
    when: 'By `pendingSqlServerMigrations`, on a connection of its own.',
    needs: '`SELECT` on the table of migrations: one that may not be seen looks as if none had run',
    statement: findMigrations('migrations'),
  },
  {
    title: 'Read the migrations',
    when: 'By `pendingSqlServerMigrations`, where there is such a table.',
    needs: '`SELECT` on the table of migrations',
    statement: readMigrations('"migrations"'),
  },
  TAGGED,
];

function listed({ title, when, needs, statement }: Listed): string {
  const types = statement.parameters.map(({ name, type }) => `\`@${name} ${type}\``).join(', ');
  return [
    `### ${title}`,
    '',
    when,
    `Needs ${needs}.`,
    ...(types === '' ? [] : [`Parameters: ${types}.`]),
    '',
    '```sql',
    statement.sql,
    '```',
    '',
  ].join('\n');
}

const PAGE = `# Every statement for SQL Server

All text that \`@smartpulse/cdc/sql-server\` writes and sends, as it sends it, with the rights that it needs. The list is written by
\`libs/cdc/src/sql-server/statements/statements.spec.ts\`, so a statement that changes shows here, and no text for the server may stand anywhere else
(\`test/architecture/sql-texts.spec.ts\`). The statements of \`SqlDedupeStore\` have [a page of their own](sql-server-dedupe-statements.md). A grammar of
Transact-SQL that others wrote parses each of them (\`npm run test:services -- sql-server-grammar\`); what it does not know of them stands in \`test/support/sql-server/grammar/constructs.ts\`.

Names of tables are checked and quoted, names of columns come from the catalogue and are quoted, everything else is a parameter.

## Reading

${READING.map(listed).join('\n')}
## Bookkeeping

${WRITING.map(listed).join('\n')}
## Preparing a database

${PREPARING.map(listed).join('\n')}
## Mending a database

What the doctor prints, and \`enable\` runs.

${MENDING.map(listed).join('\n')}
## On an app's data source

${ON_DATA_SOURCES.map(listed).join('\n')}
## What TypeORM and the driver send

Their texts are made by them, of an app's entities, queries and migrations. Those of the sample apps stand in \`test/wire/apps/forms\`, each form once, as a server has heard them; a form that is new fails a test, and so does one that
needs a right which is not named here:

- \`migrations.sql\`, of both apps with \`DATABASE_MIGRATE=1\`: \`CREATE TABLE\`, \`CREATE SCHEMA\`, \`ALTER\`, \`SELECT\` and \`INSERT\` on the database. \`ALTER\` is for change tracking and snapshots, and covers what the database holds.
- \`production-forecast.sql\`: \`SELECT\`, \`INSERT\` and \`UPDATE\` on \`dbo.forecast\`, \`SELECT\`, \`INSERT\` and \`DELETE\` on \`dbo.forecast_outbox\`, \`VIEW CHANGE TRACKING\` on both, and what [the bookkeeping](#bookkeeping) needs.
- \`notification-service.sql\`: \`SELECT\`, \`INSERT\`, \`UPDATE\` and \`DELETE\` on \`dbo.notification\`, \`SELECT\`, \`INSERT\` and \`UPDATE\` on \`dbo.known_value\`.
- \`demo.sql\`, around a run of the demo: \`CREATE ANY DATABASE\` on the server; a run owns the database that it has made.

Without \`DATABASE_MIGRATE=1\` each app looks at its start whether it was migrated, which needs \`SELECT\` on its table of migrations. What the driver sets at the start of every connection
(\`set ansi_nulls on\` and its kin) and \`SELECT SCHEMA_NAME()\` need no right.
`;

describe('the statements for SQL Server', () => {
  it('are those of the page that lists them', async () => {
    await expect(PAGE).toMatchFileSnapshot(
      join(import.meta.dirname, '../../../../../docs/guides/sql-server-statements.md'),
    );
  });

  it('take every value as a parameter', () => {
    const bound = [...READING, ...WRITING].map(({ statement }) => statement);
    for (const { name, sql, parameters } of bound) {
      for (const parameter of parameters) {
        expect(sql, name).toContain(`@${parameter.name}`);
      }
      const own = [...sql.matchAll(/DECLARE [^;]+;/g)].flatMap(([text]) => text.match(/@\w+/g) ?? []);
      const declared = new Set([...own, ...parameters.map((parameter) => `@${parameter.name}`)]);
      expect((sql.match(/(?<!@)@\w+/g) ?? []).filter((used) => !declared.has(used))).toEqual([]);
    }
  });

  it('quote whatever a column is called, and refuse a table that is no plain name', () => {
    expect(quoteName('odd ] name')).toBe('[odd ]] name]');
    expect(quoteTable('dbo.stock')).toBe('[dbo].[stock]');
    for (const table of [
      'stock',
      'a.b.c',
      'dbo.',
      '.stock',
      'dbo.[stock]',
      "dbo.stock'; DROP TABLE x --",
      'dbo.a b',
      'dbo.ä',
    ]) {
      expect(() => quoteTable(table), table).toThrow(/plain identifiers/);
    }
  });
});
