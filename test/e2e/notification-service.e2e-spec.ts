import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import {
  createNotificationServiceApp,
  type DeliverableNotification,
  type NotificationList,
  Notifier,
} from '@smartpulse/notification-service';
import { createProductionForecastApp } from '@smartpulse/production-forecast';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { SystemClock } from '@smartpulse/resilience';
import { type Server } from 'node:http';
import request from 'supertest';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const SERIES = '/api/v2.0/production-forecast/FinalForecast/PP/7/forecasts';
const NOTIFICATIONS = '/api/notification/notifications';
const DAY = Date.UTC(2026, 0, 31);

class RecordingNotifier extends Notifier {
  override readonly channel = 'recording';
  readonly delivered: DeliverableNotification[] = [];

  override deliver(notification: DeliverableNotification): Promise<void> {
    this.delivered.push(notification);
    return Promise.resolve();
  }
}

/** Quarters of the day, by place and megawatts. */
function quarters(...values: readonly (readonly [index: number, value: number])[]): object {
  return {
    forecasts: values.map(([index, value]) => ({
      deliveryStart: new Date(DAY + index * 900_000).toISOString(),
      deliveryEnd: new Date(DAY + (index + 1) * 900_000).toISOString(),
      value,
    })),
  };
}

describe('NotificationService beside ProductionForecast', () => {
  const clock = new SystemClock();
  let forecasts: EmbeddedDatabase;
  let notifications: EmbeddedDatabase;
  let notifier: RecordingNotifier;
  let forecastServer: Server;
  let server: Server;
  let stop: () => Promise<void>;

  /** Both apps on a broker and a cache of their own; the databases stay. */
  async function start(): Promise<void> {
    const broker = new InProcessBroker({ clock });
    const cacheServer = new EmbeddedCacheServer({ clock });
    const quiet = { signals: false, logger: false } as const;
    const service = await createNotificationServiceApp({ database: notifications, broker, clock, notifier }, quiet);
    await service.listen(0, '127.0.0.1');
    const forecast = await createProductionForecastApp({ database: forecasts, broker, cacheServer, clock }, quiet);
    await forecast.listen(0, '127.0.0.1');
    forecastServer = forecast.getHttpServer();
    server = service.getHttpServer();
    stop = async () => {
      await forecast.close();
      await service.close();
      cacheServer.close();
      await broker.close();
    };
  }

  beforeEach(async () => {
    forecasts = EmbeddedDatabase.open({ name: 'production-forecast', clock });
    notifications = EmbeddedDatabase.open({ name: 'notification-service', clock });
    notifier = new RecordingNotifier();
    await start();
  });

  afterEach(async () => {
    await stop();
    await forecasts.close();
    await notifications.close();
  });

  const save = async (body: object): Promise<void> => {
    expect((await request(forecastServer).post(SERIES).send(body)).status).toBe(200);
  };
  const list = async (query: object = {}): Promise<NotificationList> => {
    const response: { body: NotificationList } = await request(server).get(NOTIFICATIONS).query(query);
    return response.body;
  };
  const unread = async (): Promise<number> => {
    const response: { body: { unread: number } } = await request(server).get(`${NOTIFICATIONS}/unread-count`);
    return response.body.unread;
  };
  const untilUnread = (count: number): Promise<void> =>
    vi.waitFor(async () => expect(await unread()).toBe(count), { timeout: 10_000, interval: 20 });

  const about = async (key: string): Promise<NotificationList['items']> =>
    (await list({ limit: 100 })).items.filter((one) => one.key === key);

  it('tells a correction beyond the threshold once, in the list, in the unread count and to the notifier', async () => {
    await save(quarters([0, 10], [1, 10], [2, 10]));
    // A correction is one only when the value before it is known here; changes of one day stay in order, so one told is all known.
    for (let value = 100; (await unread()) === 0; value = 300 - value) {
      await save(quarters([2, value]));
    }
    await save(quarters([0, 10.5], [1, 40]));
    const key = 'FinalForecast/PP/7/2026-01-31T00:15:00.000Z';
    await vi.waitFor(async () => expect(await about(key)).toHaveLength(1), { timeout: 10_000, interval: 20 });

    const [told] = await about(key);
    expect(told).toMatchObject({
      rule: 'forecast-corrected',
      title: 'FinalForecast of PP 7 corrected',
      status: 'new',
      seenAt: null,
    });
    expect(told?.description).toContain('10.00 to 40.00 MW');
    await vi.waitFor(() => expect(notifier.delivered.map(({ id }) => id)).toContain(told?.id), 10_000);
    expect(await about('FinalForecast/PP/7/2026-01-31T00:00:00.000Z')).toEqual([]);
    expect(await unread()).toBe((await list({ limit: 100 })).items.length);
  });

  it('tells a hole in a computed range once, however often the range is computed', async () => {
    await save(quarters([0, 10], [1, 10], [4, 10]));
    await untilUnread(1);
    expect((await list()).items).toMatchObject([
      { rule: 'interval-missing', description: expect.stringContaining('30 minutes are missing') },
    ]);

    await save(quarters([0, 10.1], [1, 10], [4, 10]));
    await save(quarters([0, 10.2], [1, 10], [5, 10]));
    await save(quarters([8, 10], [10, 10]));
    await untilUnread(2);
    expect((await list()).items.map(({ key }) => key)).toEqual([
      'FinalForecast/PP/7/2026-01-31T02:15:00.000Z',
      'FinalForecast/PP/7/2026-01-31T00:30:00.000Z',
    ]);
  });

  it('says nothing again when a new broker makes the owner tell everything anew', async () => {
    await save(quarters([0, 10], [2, 10]));
    await untilUnread(1);
    await stop();
    await start();
    await save(quarters([5, 10], [7, 10]));
    await untilUnread(2);
    expect(notifier.delivered).toHaveLength(2);
  });

  it('pages by id, marks one read and all up to one', async () => {
    for (const [index, hole] of [0, 10, 20, 30].entries()) {
      await save(quarters([hole, 10], [hole + 2, 10]));
      await untilUnread(index + 1);
    }
    const first = await list({ limit: 3 });
    expect(first.items).toHaveLength(3);
    const second = await list({ limit: 3, before: first.next });
    expect(second.items).toHaveLength(1);
    expect(second.next).toBeNull();

    const [newest, , oldestOfPage] = first.items;
    expect((await request(server).post(`${NOTIFICATIONS}/${newest?.id}/read`)).status).toBe(204);
    expect((await request(server).post(`${NOTIFICATIONS}/${newest?.id}/read`)).status).toBe(204);
    expect(await unread()).toBe(3);
    expect((await list({ status: 'seen' })).items).toMatchObject([{ id: newest?.id, status: 'seen' }]);

    expect((await request(server).post(`${NOTIFICATIONS}/read-all`).send({ upTo: oldestOfPage?.id })).status).toBe(204);
    expect((await list({ status: 'new' })).items).toHaveLength(1);
    expect(await unread()).toBe(1);
  });

  it('answers mistakes as problem details', async () => {
    const answers = await Promise.all([
      request(server).get(NOTIFICATIONS).query({ limit: 101 }),
      request(server).get(NOTIFICATIONS).query({ page: 2 }),
      request(server).post(`${NOTIFICATIONS}/read-all`).send({}),
      request(server).post(`${NOTIFICATIONS}/none/read`),
      request(server).post(`${NOTIFICATIONS}/999/read`),
      request(server).get('/nothing'),
      request(server)
        .post(`${NOTIFICATIONS}/read-all`)
        .send({ upTo: 1, filler: 'x'.repeat(200_000) }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400, 404, 404, 413]);
    expect(answers[0]?.headers['cache-control']).toBe('no-store');
    expect(answers[1]?.body).toMatchObject({ status: 400, errors: [{ pointer: 'page' }] });
    expect(new Set(answers.map(({ headers }) => headers['content-type'] as unknown))).toEqual(
      new Set(['application/problem+json']),
    );
  });
});
