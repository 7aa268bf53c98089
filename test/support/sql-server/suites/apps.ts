import { CdcRegistry } from '@smartpulse/cdc';
import { sqlServerDataSource } from '@smartpulse/cdc/sql-server';
import { createNotificationServiceApp, migrateNotificationDatabase } from '@smartpulse/notification-service';
import {
  createProductionForecastApp,
  ForecastDatabase,
  OUTBOX_TABLE,
  OutboxRetention,
} from '@smartpulse/production-forecast';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { SystemClock } from '@smartpulse/resilience';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { expect } from 'vitest';

const SERIES = '/api/v2.0/production-forecast/FinalForecast/PP/7/forecasts';
const NOTIFICATIONS = '/api/notification/notifications';
const WAIT = { timeout: 30_000, interval: 20 };

/** A quarter that begins so many minutes after midnight. */
function quarter(minutes: number, value: number, length = 15): object {
  const at = (ms: number): string => new Date(Date.UTC(2026, 1, 1) + ms * 60_000).toISOString();
  return { deliveryStart: at(minutes), deliveryEnd: at(minutes + length), value };
}

type App = Awaited<ReturnType<typeof createProductionForecastApp>>;

/** As whom the apps come into the database. */
export interface AppLogins {
  readonly migrator: string;
  readonly forecasts: string;
  readonly notifications: string;
}

/** Both apps on one SQL Server, and whatever they do with it. */
export class AppsOnSqlServer {
  private constructor(
    readonly forecasts: App,
    readonly notifications: App,
    /** A connection beside theirs, called `beside`. */
    readonly beside: DataSource,
    private readonly closers: readonly (() => Promise<void> | void)[],
  ) {}

  /**
   * @param url of an empty database.
   * @param logins URLs of the same database by which others come into it. Default: all by `url`.
   */
  static async start(url: string, logins: Partial<AppLogins> = {}): Promise<AppsOnSqlServer> {
    const clock = new SystemClock();
    const broker = new InProcessBroker({ clock });
    const cacheServer = new EmbeddedCacheServer({ clock });
    const migrator = { url: logins.migrator ?? url };
    const opened = await ForecastDatabase.open({
      name: 'apps',
      server: migrator,
      migrate: true,
      cache: undefined,
      clock,
    });
    await migrateNotificationDatabase(migrator);
    const database = { url: logins.forecasts ?? url };
    // As an app looks that may not migrate.
    await (await ForecastDatabase.open({ name: 'apps', server: database, cache: undefined, clock })).close();
    const beside = await new DataSource(sqlServerDataSource({ name: 'beside', url, entities: [] })).initialize();
    const silent = { signals: false, logger: false } as const;
    const ofNotifications = { url: logins.notifications ?? url };
    const notifications = await createNotificationServiceApp({ database: ofNotifications, broker, clock }, silent);
    await notifications.listen(0, '127.0.0.1');
    const forecasts = await createProductionForecastApp({ database, broker, cacheServer, clock }, silent);
    await forecasts.listen(0, '127.0.0.1');
    return new AppsOnSqlServer(forecasts, notifications, beside, [
      () => forecasts.close(),
      () => notifications.close(),
      () => beside.destroy(),
      () => cacheServer.close(),
      () => broker.close(),
      () => opened.close(),
    ]);
  }

  async close(): Promise<void> {
    for (const close of this.closers) {
      await close();
    }
  }

  /** Saves, corrections, holes, refusals, reads, notifications, retention: everything that the apps send statements for. */
  async doEverything(): Promise<void> {
    const { forecasts, notifications, beside } = this;
    const save = (...items: readonly object[]) =>
      request(forecasts.getHttpServer()).post(SERIES).send({ forecasts: items });
    const latest = () =>
      request(forecasts.getHttpServer())
        .get(`${SERIES}/latest`)
        .query({ from: '2026-02-01T00:00:00Z', to: '2026-02-02T00:00:00Z' });
    const asked = (path: string) => request(notifications.getHttpServer()).get(`${NOTIFICATIONS}${path}`);
    const unread = async (): Promise<unknown> => (await asked('/unread-count')).body;

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
  }
}
