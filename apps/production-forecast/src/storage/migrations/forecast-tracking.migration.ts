import { type MigrationInterface, type QueryRunner } from 'typeorm';

/**
 * Lets the tables be followed: change tracking of the database and of each table, and snapshots, in which changes and values are read. A
 * tracker that stood still for longer than the retention reads its table anew.
 */
export class ForecastTracking1764288060000 implements MigrationInterface {
  readonly name = 'ForecastTracking1764288060000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE database_id = DB_ID()) ' +
        'ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)',
    );
    await runner.query('ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON');
    await track(runner, 'dbo.forecast', 'ON');
    // Rows of an outbox are inserted and deleted, never changed.
    await track(runner, 'dbo.forecast_outbox', 'OFF');
  }

  /** The database's own settings stay: other tables may be followed too. */
  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['dbo.forecast_outbox', 'dbo.forecast']) {
      await runner.query(`IF ${isTracked(table)} ALTER TABLE ${table} DISABLE CHANGE_TRACKING`);
    }
  }
}

function isTracked(table: string): string {
  return `EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID(N'${table}'))`;
}

async function track(runner: QueryRunner, table: string, columns: 'ON' | 'OFF'): Promise<void> {
  await runner.query(
    `IF NOT ${isTracked(table)} ALTER TABLE ${table} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ${columns})`,
  );
}
