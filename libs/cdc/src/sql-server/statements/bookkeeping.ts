import { DECLARE_FORK } from './epochs.js';
import { quoteSchema, quoteText } from './identifier.js';
import type { SqlServerStatement } from './statement.js';

/** Names compare by their code points, whatever the database's collation is. */
const EXACT = 'COLLATE Latin1_General_100_BIN2';

/**
 * What the database keeps for change capture, in a schema of its own and not tracked: the epoch, positions, leases, replicas. Every
 * statement changes nothing where its part is there already. The epoch begins at the clock in seconds, so that a schema that was dropped
 * and made again does not begin below stamps that were given out.
 */
export function createBookkeeping(schema: string): readonly SqlServerStatement[] {
  const quoted = quoteSchema(schema);
  const once = (table: string, columns: string): SqlServerStatement => ({
    name: `create ${table}`,
    sql: `IF OBJECT_ID(${quoteText(`${quoted}.[${table}]`)}) IS NULL
CREATE TABLE ${quoted}.[${table}] (
${columns}
);`,
    parameters: [],
  });
  return [
    {
      name: 'create schema',
      sql: `IF SCHEMA_ID(${quoteText(schema)}) IS NULL EXEC(${quoteText(`CREATE SCHEMA ${quoted}`)});`,
      parameters: [],
    },
    once(
      'cdc_epoch',
      `  id tinyint NOT NULL,
  epoch bigint NOT NULL,
  recovery_fork uniqueidentifier NULL,
  CONSTRAINT [pk_cdc_epoch] PRIMARY KEY (id)`,
    ),
    {
      name: 'begin epoch',
      sql: `${DECLARE_FORK}
INSERT INTO ${quoted}.[cdc_epoch] (id, epoch, recovery_fork) SELECT 1, DATEDIFF_BIG(second, '19700101', SYSUTCDATETIME()), CONVERT(uniqueidentifier, @fork) WHERE NOT EXISTS (SELECT 1 FROM ${quoted}.[cdc_epoch] WHERE id = 1);`,
      parameters: [],
    },
    once(
      'cdc_checkpoint',
      `  consumer nvarchar(120) ${EXACT} NOT NULL,
  source nvarchar(64) ${EXACT} NOT NULL,
  table_name nvarchar(257) ${EXACT} NOT NULL,
  fence bigint NOT NULL,
  epoch bigint NOT NULL,
  object_id nvarchar(40) NOT NULL,
  begin_version bigint NOT NULL,
  schema_hash nvarchar(64) NOT NULL,
  sink_instance nvarchar(400) NOT NULL,
  phase nvarchar(20) NOT NULL,
  reason nvarchar(40) NULL,
  version bigint NOT NULL,
  cursor_version bigint NULL,
  cursor_key nvarchar(max) NULL,
  updated_at datetime2(3) NOT NULL,
  CONSTRAINT [pk_cdc_checkpoint] PRIMARY KEY (consumer, source, table_name)`,
    ),
    once(
      'cdc_lease',
      `  resource nvarchar(448) ${EXACT} NOT NULL,
  owner nvarchar(200) ${EXACT} NULL,
  fence bigint NOT NULL,
  expires_at datetime2(7) NOT NULL,
  asked_at datetime2(7) NOT NULL,
  CONSTRAINT [pk_cdc_lease] PRIMARY KEY (resource)`,
    ),
    once(
      'cdc_replica',
      `  owner nvarchar(200) ${EXACT} NOT NULL,
  expires_at datetime2(7) NOT NULL,
  CONSTRAINT [pk_cdc_replica] PRIMARY KEY (owner)`,
    ),
  ];
}

/** Names of the tables in the schema, each with the rights that its statements need. */
export const BOOKKEEPING_TABLES = Object.freeze(['cdc_epoch', 'cdc_checkpoint', 'cdc_lease', 'cdc_replica'] as const);
