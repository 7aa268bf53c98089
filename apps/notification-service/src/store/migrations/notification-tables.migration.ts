import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * The tables, on SQL Server. TypeORM sends every text as nvarchar, so that is what the columns are: no letter is lost, and no index is left
 * aside because its column would have to be converted. They compare as the database does: keys are made of fixed words and digits, which every
 * collation tells apart and orders alike, and one of their own could be at odds with that of the texts that a MERGE brings. Whatever is there
 * already is left alone.
 */
export class NotificationTables1764288000000 implements MigrationInterface {
  readonly name = 'NotificationTables1764288000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`IF OBJECT_ID(N'dbo.notification') IS NULL CREATE TABLE dbo.notification (
  id int IDENTITY(1,1) NOT NULL,
  [rule] nvarchar(32) NOT NULL,
  [key] nvarchar(200) NOT NULL,
  stamp nvarchar(100) NOT NULL,
  title nvarchar(120) NOT NULL,
  description nvarchar(400) NOT NULL,
  status nvarchar(4) NOT NULL,
  delivery nvarchar(9) NOT NULL,
  createdAt nvarchar(24) NOT NULL,
  seenAt nvarchar(24) NULL,
  CONSTRAINT pk_notification PRIMARY KEY (id)
)`);
    await index(runner, 'notification', 'ux_notification_rule_key_stamp', '[rule], [key], stamp', 'UNIQUE ');
    await index(runner, 'notification', 'ix_notification_status', 'status, id');
    await index(runner, 'notification', 'ix_notification_delivery', 'delivery, id');
    await runner.query(`IF OBJECT_ID(N'dbo.known_value') IS NULL CREATE TABLE dbo.known_value (
  provider nvarchar(32) NOT NULL,
  unitType nvarchar(8) NOT NULL,
  unitNo int NOT NULL,
  deliveryStart nvarchar(24) NOT NULL,
  valueHundredths int NOT NULL,
  stamp nvarchar(45) NOT NULL,
  CONSTRAINT pk_known_value PRIMARY KEY (provider, unitType, unitNo, deliveryStart)
)`);
    await index(runner, 'known_value', 'ix_known_value_start', 'deliveryStart');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE IF EXISTS dbo.known_value');
    await runner.query('DROP TABLE IF EXISTS dbo.notification');
  }
}

async function index(
  runner: QueryRunner,
  table: string,
  name: string,
  columns: string,
  kind: '' | 'UNIQUE ' = '',
): Promise<void> {
  await runner.query(
    `IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'dbo.${table}') AND name = N'${name}') ` +
      `CREATE ${kind}INDEX ${name} ON dbo.${table} (${columns})`,
  );
}
