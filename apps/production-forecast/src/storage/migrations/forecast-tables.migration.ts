import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * The tables, on SQL Server. TypeORM sends every text as nvarchar, so that is what the columns are: no letter is lost, and no index is left
 * aside because its column would have to be converted. They compare as the database does: keys are made of fixed words and digits, which every
 * collation tells apart and orders alike, and one of their own could be at odds with that of the texts that a MERGE brings. Whatever is there
 * already is left alone.
 */
export class ForecastTables1764288000000 implements MigrationInterface {
  readonly name = 'ForecastTables1764288000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`IF OBJECT_ID(N'dbo.forecast') IS NULL CREATE TABLE dbo.forecast (
  provider nvarchar(32) NOT NULL,
  unitType nvarchar(8) NOT NULL,
  unitNo int NOT NULL,
  deliveryStart nvarchar(24) NOT NULL,
  deliveryEnd nvarchar(24) NOT NULL,
  periodMinutes int NOT NULL,
  valueHundredths int NOT NULL,
  batchId nvarchar(32) NOT NULL,
  CONSTRAINT pk_forecast PRIMARY KEY (provider, unitType, unitNo, deliveryStart)
)`);
    await runner.query(`IF OBJECT_ID(N'dbo.forecast_outbox') IS NULL CREATE TABLE dbo.forecast_outbox (
  id int IDENTITY(1,1) NOT NULL,
  event nvarchar(64) NOT NULL,
  [key] nvarchar(100) NULL,
  payload nvarchar(max) NOT NULL,
  createdAt nvarchar(24) NOT NULL,
  CONSTRAINT pk_forecast_outbox PRIMARY KEY (id)
)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE IF EXISTS dbo.forecast_outbox');
    await runner.query('DROP TABLE IF EXISTS dbo.forecast');
  }
}
