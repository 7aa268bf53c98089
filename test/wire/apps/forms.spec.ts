import { createNotificationServiceApp, migrateNotificationDatabase } from '@smartpulse/notification-service';
import {
  createProductionForecastApp,
  ForecastDatabase,
  OUTBOX_TABLE,
  OutboxRetention,
} from '@smartpulse/production-forecast';
import { CdcRegistry } from '@smartpulse/cdc';
import { sqlServerDataSource } from '@smartpulse/cdc/sql-server';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SqlServerEngine } from '../../support/sql-server/engine/sql-server.engine.js';
import { startTestSqlServer, type TestSqlServer } from '../../support/sql-server/start-sql-server.js';
import { StatementLog } from '../../support/sql-server/statement-log.js';

const SERIES = '/api/v2.0/production-forecast/FinalForecast/PP/7/forecasts';
const NOTIFICATIONS = '/api/notification/notifications';
const WAIT = { timeout: 30_000, interval: 20 };

/** A quarter that begins so many minutes after midnight. */
function quarter(minutes: number, value: number, length = 15): object {
  const at = (ms: number): string => new Date(Date.UTC(2026, 1, 1) + ms * 60_000).toISOString();
  return { deliveryStart: at(minutes), deliveryEnd: at(minutes + length), value };
}

describe('what the apps send to SQL Server', () => {
  const clock = new SystemClock();
  const log = new StatementLog();
  const broker = new InProcessBroker({ clock });
  const cacheServer = new EmbeddedCacheServer({ clock });
  let server: TestSqlServer;
  let beside: DataSource;
  let opened: ForecastDatabase;
  let forecasts: Awaited<ReturnType<typeof createProductionForecastApp>>;
  let notifications: Awaited<ReturnType<typeof createNotificationServiceApp>>;

  beforeAll(async () => {
    const engine = new SqlServerEngine({ clock, random: new SeededRandom(1) });
    engine.createDatabase('apps');
    server = await startTestSqlServer({ engine, faults: log });
    const database = { url: `mssql://sa:any@${server.host}:${server.port}/apps?encrypt=false` };
    opened = await ForecastDatabase.open({ name: 'forms', server: database, migrate: true, cache: undefined, clock });
    await migrateNotificationDatabase(database);
    beside = await new DataSource(
      sqlServerDataSource({ name: 'beside', url: database.url, entities: [] }),
    ).initialize();
    const silent = { signals: false, logger: false } as const;
    notifications = await createNotificationServiceApp({ database, broker, clock }, silent);
    await notifications.listen(0, '127.0.0.1');
    forecasts = await createProductionForecastApp({ database, broker, cacheServer, clock }, silent);
    await forecasts.listen(0, '127.0.0.1');
  });

  afterAll(async () => {
    await forecasts?.close();
    await notifications?.close();
    await beside?.destroy();
    cacheServer.close();
    await broker.close();
    await opened?.close();
    await server?.stop();
  });

  const save = (...items: readonly object[]) =>
    request(forecasts.getHttpServer()).post(SERIES).send({ forecasts: items });
  const latest = () =>
    request(forecasts.getHttpServer())
      .get(`${SERIES}/latest`)
      .query({ from: '2026-02-01T00:00:00Z', to: '2026-02-02T00:00:00Z' });
  const asked = (path: string) => request(notifications.getHttpServer()).get(`${NOTIFICATIONS}${path}`);
  const unread = async (): Promise<unknown> => (await asked('/unread-count')).body;

  it('does everything that they do, and sends what is written down and nothing else', async () => {
    // A number before the hundredth: the next one looks for notifications that are too many.
    await beside.query(
      `SET IDENTITY_INSERT notification ON; INSERT INTO notification (id, [rule], [key], stamp, title, description, status, delivery, createdAt) VALUES (99, 'r', 'k', 's', 't', 'd', 'seen', 'delivered', ''); SET IDENTITY_INSERT notification OFF`,
    );
    expect((await save(quarter(0, 10), quarter(15, 20))).body).toMatchObject({ saved: 2 });
    expect((await latest()).body).toMatchObject({ forecasts: [{ value: 10 }, { value: 20 }] });
    await expect.poll(() => beside.query('SELECT COUNT(*) AS n FROM known_value'), WAIT).toEqual([{ n: 2 }]);
    // A correction, and a hole.
    expect((await save(quarter(0, 90), quarter(15, 90))).body).toMatchObject({ saved: 2 });
    await expect.poll(unread, WAIT).toEqual({ unread: 1 });
    expect((await save(quarter(60, 1), quarter(90, 1))).body).toMatchObject({ saved: 2 });
    await expect.poll(unread, WAIT).toEqual({ unread: 2 });
    // Refused inside of its savepoint, for two reasons.
    expect((await save(quarter(0, 1)).set('If-Match', '"another"')).status).toBe(412);
    expect((await save(quarter(0, 1, 5))).status).toBe(409);

    expect((await asked('?limit=5&before=1000&status=new')).body).toMatchObject({ items: [{}, {}] });
    expect((await request(notifications.getHttpServer()).post(`${NOTIFICATIONS}/100/read`)).status).toBeLessThan(300);
    expect(
      (await request(notifications.getHttpServer()).post(`${NOTIFICATIONS}/read-all`).send({ upTo: 101 })).status,
    ).toBeLessThan(300);
    expect(await unread()).toEqual({ unread: 0 });

    // An event of the day before yesterday that everybody has heard of.
    await beside.query(`UPDATE forecast_outbox SET createdAt = '2026-01-01T00:00:00.000Z' WHERE id = 1`);
    const retention = forecasts.get(OutboxRetention);
    await retention.sweep();
    await expect
      .poll(() => {
        forecasts.get(CdcRegistry).pollNow(OUTBOX_TABLE);
        return retention.sweep();
      }, WAIT)
      .toBe(1);
  });

  it.each([
    ['migrations', ['production-forecast-migrations', 'notification-service-migrations']],
    ['production-forecast', ['production-forecast-main']],
    ['notification-service', ['notification-service-main']],
  ])('is what forms/%s.sql says', async (file, applications) => {
    await expect(`${log.forms(...applications).join('\n\n')}\n`).toMatchFileSnapshot(`forms/${file}.sql`);
  });

  it('fits the tables that the migrations made, column by column', async () => {
    const kinds: Readonly<Record<string, string>> = { varchar: 'nvarchar', text: 'nvarchar', integer: 'int' };
    const metadata = [forecasts, notifications].flatMap((app) => app.get(DataSource).entityMetadatas);
    expect(metadata).toHaveLength(4);
    for (const { tableName, columns } of metadata) {
      const made = await beside.query<readonly Record<string, unknown>[]>(
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
