import { SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SqlServerEngine } from '../../support/sql-server/engine/sql-server.engine.js';
import { startTestSqlServer, type TestSqlServer } from '../../support/sql-server/start-sql-server.js';
import { StatementLog } from '../../support/sql-server/statement-log.js';
import { AppsOnSqlServer } from '../../support/sql-server/suites/apps.js';

describe('what the apps send to SQL Server', () => {
  const log = new StatementLog();
  let server: TestSqlServer;
  let apps: AppsOnSqlServer;

  beforeAll(async () => {
    const engine = new SqlServerEngine({ clock: new SystemClock(), random: new SeededRandom(1) });
    engine.createDatabase('apps');
    server = await startTestSqlServer({ engine, faults: log });
    apps = await AppsOnSqlServer.start(`mssql://sa:any@${server.host}:${server.port}/apps?encrypt=false`);
  });

  afterAll(async () => {
    await apps?.close();
    await server?.stop();
  });

  it('serves everything that they do', () => apps.doEverything());

  it.each([
    ['migrations', ['production-forecast-migrations', 'notification-service-migrations']],
    ['production-forecast', ['production-forecast-main']],
    ['notification-service', ['notification-service-main']],
  ])('is what forms/%s.sql says', async (file, applications) => {
    await expect(`${log.forms(...applications).join('\n\n')}\n`).toMatchFileSnapshot(`forms/${file}.sql`);
  });

  it('fits the tables that the migrations made, column by column', async () => {
    const kinds: Readonly<Record<string, string>> = { varchar: 'nvarchar', text: 'nvarchar', integer: 'int' };
    const metadata = [apps.forecasts, apps.notifications].flatMap((app) => app.get(DataSource).entityMetadatas);
    expect(metadata).toHaveLength(4);
    for (const { tableName, columns } of metadata) {
      const made = await apps.beside.query<readonly Record<string, unknown>[]>(
        `SELECT COLUMN_NAME AS name, DATA_TYPE AS type, CHARACTER_MAXIMUM_LENGTH AS length, IS_NULLABLE AS nullable FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = @0 ORDER BY ORDINAL_POSITION`,
        [tableName],
      );
      expect(made, tableName).toEqual(
        columns.map(({ databaseName, type, length, isNullable }) => ({
          name: databaseName,
          type: kinds[String(type)],
          length: type === 'integer' ? null : type === 'text' ? -1 : Number(length),
          nullable: isNullable ? 'YES' : 'NO',
        })),
      );
    }
  });

  it('comes from no other connections than theirs', () => {
    expect(log.applications).toEqual([
      'beside',
      'notification-service-main',
      'notification-service-migrations',
      'production-forecast-cdc',
      'production-forecast-main',
      'production-forecast-migrations',
      'smartpulse-cdc',
    ]);
  });
});
