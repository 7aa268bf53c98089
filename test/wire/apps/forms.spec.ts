import { SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Permission } from '../../support/sql-server/engine/security/grants.js';
import { SqlServerEngine } from '../../support/sql-server/engine/sql-server.engine.js';
import { startTestSqlServer, type TestSqlServer } from '../../support/sql-server/start-sql-server.js';
import { StatementLog } from '../../support/sql-server/statement-log.js';
import { type AppLogins, AppsOnSqlServer } from '../../support/sql-server/suites/apps.js';

/** As docs/guides/sql-server-statements.md says: by what is granted on the database (''), a schema or an object. */
const RIGHTS: Readonly<Record<keyof AppLogins, Readonly<Record<string, readonly Permission[]>>>> = {
  migrator: { '': ['ALTER', 'CREATE TABLE', 'CREATE SCHEMA', 'SELECT', 'INSERT'] },
  forecasts: {
    'dbo.forecast': ['SELECT', 'INSERT', 'UPDATE', 'VIEW CHANGE TRACKING'],
    'dbo.forecast_outbox': ['SELECT', 'INSERT', 'DELETE', 'VIEW CHANGE TRACKING'],
    'dbo.production_forecast_migrations': ['SELECT'],
    smartpulse: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
  },
  notifications: {
    'dbo.notification': ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
    'dbo.known_value': ['SELECT', 'INSERT', 'UPDATE'],
    'dbo.notification_service_migrations': ['SELECT'],
  },
};

describe('what the apps send to SQL Server', () => {
  const log = new StatementLog();
  let server: TestSqlServer;
  let apps: AppsOnSqlServer;

  beforeAll(async () => {
    const engine = new SqlServerEngine({ clock: new SystemClock(), random: new SeededRandom(1) });
    const { grants } = engine.createDatabase('apps');
    for (const [login, rights] of Object.entries(RIGHTS)) {
      engine.addLogin(login, 'any');
      for (const [on, permissions] of Object.entries(rights)) {
        const [schema, object] = on.split('.');
        const securable = on === '' ? {} : { schema, ...(object === undefined ? {} : { object }) };
        permissions.forEach((permission) => grants.grant(login, permission, securable));
      }
    }
    server = await startTestSqlServer({ engine, faults: log });
    const as = (login: string) => `mssql://${login}:any@${server.host}:${server.port}/apps?encrypt=false`;
    apps = await AppsOnSqlServer.start(as('sa'), {
      migrator: as('migrator'),
      forecasts: as('forecasts'),
      notifications: as('notifications'),
    });
  });

  afterAll(async () => {
    await apps?.close();
    await server?.stop();
  });

  it('serves everything that they do, to logins that have the rights of the page and no others', () =>
    apps.doEverything());

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
