import { DECLARE_FORK } from './epochs.js';
import { quoteSchema, quoteText } from './identifier.js';
import type { SqlServerStatement } from './statement.js';

/** Names compare by their code points, whatever the database's collation is. */
const EXACT = 'COLLATE Latin1_General_100_BIN2';

/** A table of the bookkeeping, in the order in which it is created. */
interface BookkeepingTable {
  readonly key: readonly string[];
  /** Each column by its type. */
  readonly columns: Readonly<Record<string, string>>;
  /**
   * Columns that came after the first version, by their name: a table that was made before gets them added. So each of them is NULL or has a
   * default, which is what rows of before hold.
   */
  readonly later?: readonly string[];
}

/** Names of the tables in the schema. */
export const BOOKKEEPING_TABLES = Object.freeze(['cdc_epoch', 'cdc_checkpoint', 'cdc_lease', 'cdc_replica'] as const);

export type BookkeepingTableName = (typeof BOOKKEEPING_TABLES)[number];

const TABLES: Readonly<Record<BookkeepingTableName, BookkeepingTable>> = Object.freeze({
  cdc_epoch: {
    key: ['id'],
    columns: { id: 'tinyint NOT NULL', epoch: 'bigint NOT NULL', recovery_fork: 'uniqueidentifier NULL' },
    later: ['recovery_fork'],
  },
  cdc_checkpoint: {
    key: ['consumer', 'source', 'table_name'],
    columns: {
      consumer: `nvarchar(120) ${EXACT} NOT NULL`,
      source: `nvarchar(64) ${EXACT} NOT NULL`,
      table_name: `nvarchar(257) ${EXACT} NOT NULL`,
      fence: 'bigint NOT NULL',
      epoch: 'bigint NOT NULL',
      object_id: 'nvarchar(40) NOT NULL',
      begin_version: 'bigint NOT NULL',
      schema_hash: 'nvarchar(64) NOT NULL',
      sink_instance: 'nvarchar(400) NOT NULL',
      phase: 'nvarchar(20) NOT NULL',
      reason: 'nvarchar(40) NULL',
      version: 'bigint NOT NULL',
      cursor_version: 'bigint NULL',
      cursor_key: 'nvarchar(max) NULL',
      up_to_date_at_ms: 'bigint NULL',
      updated_at: 'datetime2(3) NOT NULL',
    },
    later: ['up_to_date_at_ms'],
  },
  cdc_lease: {
    key: ['resource'],
    columns: {
      resource: `nvarchar(448) ${EXACT} NOT NULL`,
      owner: `nvarchar(200) ${EXACT} NULL`,
      fence: 'bigint NOT NULL',
      expires_at: 'datetime2(7) NOT NULL',
      asked_at: 'datetime2(7) NOT NULL',
    },
  },
  cdc_replica: {
    key: ['owner'],
    columns: { owner: `nvarchar(200) ${EXACT} NOT NULL`, expires_at: 'datetime2(7) NOT NULL' },
  },
} satisfies Record<BookkeepingTableName, BookkeepingTable>);

/**
 * What the database keeps for change capture, in a schema of its own and not tracked: the epoch, positions, leases, replicas. Every
 * statement changes nothing where its part is there already; tables of an earlier version get the columns that they lack. The epoch begins at
 * the clock in seconds, so that a schema that was dropped and made again does not begin below stamps that were given out.
 */
export function createBookkeeping(schema: string): readonly SqlServerStatement[] {
  const quoted = quoteSchema(schema);
  return [
    {
      name: 'create schema',
      sql: `IF SCHEMA_ID(${quoteText(schema)}) IS NULL EXEC(${quoteText(`CREATE SCHEMA ${quoted}`)});`,
      parameters: [],
    },
    ...BOOKKEEPING_TABLES.flatMap((table) => [
      createTable(table, quoted),
      ...(TABLES[table].later ?? []).map((column) => addColumn(table, column, quoted)),
    ]),
    {
      name: 'begin epoch',
      sql: `${DECLARE_FORK}
INSERT INTO ${quoted}.[cdc_epoch] (id, epoch, recovery_fork) SELECT 1, DATEDIFF_BIG(second, '19700101', SYSUTCDATETIME()), CONVERT(uniqueidentifier, @fork) WHERE NOT EXISTS (SELECT 1 FROM ${quoted}.[cdc_epoch] WHERE id = 1);`,
      parameters: [],
    },
  ];
}

/** The columns that a table of this version has. */
export function bookkeepingColumns(table: BookkeepingTableName): readonly string[] {
  return Object.keys(TABLES[table].columns);
}

/** What adds a column to a table of an earlier version; nothing for one that every version had: that table is none of ours. */
export function addBookkeepingColumn(
  table: BookkeepingTableName,
  column: string,
  schema: string,
): SqlServerStatement | undefined {
  return TABLES[table].later?.includes(column) === true ? addColumn(table, column, quoteSchema(schema)) : undefined;
}

/** Whether what the server says of a column that it does not know names one that a table of an earlier version lacks. */
export function namesLaterColumn(message: string): boolean {
  return Object.values(TABLES).some(({ later }) => later?.some((column) => message.includes(column)));
}

function createTable(table: BookkeepingTableName, quoted: string): SqlServerStatement {
  const { columns, key } = TABLES[table];
  const lines = [
    ...Object.entries(columns).map(([name, type]) => `${name} ${type}`),
    `CONSTRAINT [pk_${table}] PRIMARY KEY (${key.join(', ')})`,
  ];
  return {
    name: `create ${table}`,
    sql: `IF OBJECT_ID(${nameIn(quoted, table)}) IS NULL
CREATE TABLE ${quoted}.[${table}] (
${lines.map((line) => `  ${line}`).join(',\n')}
);`,
    parameters: [],
  };
}

/** A statement of its own, and sent before any that uses the column: the server refuses a text that names a column which is not there yet. */
function addColumn(table: BookkeepingTableName, column: string, quoted: string): SqlServerStatement {
  return {
    name: `add ${table}.${column}`,
    sql: `IF NOT EXISTS (SELECT 1 FROM sys.columns AS c WHERE c.object_id = OBJECT_ID(${nameIn(quoted, table)}) AND c.name = ${quoteText(column)})
ALTER TABLE ${quoted}.[${table}] ADD ${column} ${TABLES[table].columns[column]};`,
    parameters: [],
  };
}

function nameIn(quoted: string, table: BookkeepingTableName): string {
  return quoteText(`${quoted}.[${table}]`);
}
