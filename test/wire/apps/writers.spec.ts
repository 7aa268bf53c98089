import assert from 'node:assert/strict';
import { type Server } from 'node:http';
import { createProductionForecastApp, ForecastDatabase } from '@smartpulse/production-forecast';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SqlServerEngine } from '../../support/sql-server/engine/sql-server.engine.js';
import { startTestSqlServer, type TestSqlServer } from '../../support/sql-server/start-sql-server.js';

type App = Awaited<ReturnType<typeof createProductionForecastApp>>;

const ROUNDS = 10;
const QUARTER = [0, 15] as const;
const DAY = { from: '2026-02-01T00:00:00Z', to: '2026-02-01T00:15:00Z' };

describe('two replicas of ProductionForecast that write to one SQL Server', () => {
  const clock = new SystemClock();
  const engine = new SqlServerEngine({ clock, random: new SeededRandom(1) });
  const broker = new InProcessBroker({ clock });
  const cacheServer = new EmbeddedCacheServer({ clock });
  const apps: App[] = [];
  let server: TestSqlServer;
  let opened: ForecastDatabase;

  beforeAll(async () => {
    engine.createDatabase('apps');
    server = await startTestSqlServer({ engine });
    const database = { url: `mssql://sa:any@${server.host}:${server.port}/apps?encrypt=false` };
    opened = await ForecastDatabase.open({ name: 'two', server: database, migrate: true, cache: undefined, clock });
    for (const replica of ['one', 'two']) {
      const app = await createProductionForecastApp(
        { database, broker, cacheServer, clock, replica, roles: ['write'] },
        { signals: false, logger: false },
      );
      await app.listen(0, '127.0.0.1');
      apps.push(app);
    }
  });
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.close()));
    cacheServer.close();
    await broker.close();
    await opened?.close();
    await server?.stop();
  });

  const httpOf = (replica: number): Server => {
    const app = apps[replica];
    assert.ok(app);
    return app.getHttpServer();
  };
  const path = (unitNo: number): string => `/api/v2.0/production-forecast/FinalForecast/PP/${unitNo}/forecasts`;
  const read = (unitNo: number) =>
    request(httpOf(1))
      .get(`${path(unitNo)}/latest`)
      .query(DAY);
  const save = (replica: number, unitNo: number, [from, to]: readonly [number, number], value: number) => {
    const [deliveryStart, deliveryEnd] = [from, to].map((minutes) =>
      new Date(Date.parse(DAY.from) + minutes * 60_000).toISOString(),
    );
    return request(httpOf(replica))
      .post(path(unitNo))
      .send({ forecasts: [{ deliveryStart, deliveryEnd, value }] });
  };
  const statusesOf = (answers: readonly { readonly status: number }[]): readonly number[] =>
    answers.map(({ status }) => status).toSorted((a, b) => a - b);

  // The first round is on an empty table: the server's locks of rows keep nobody apart there.
  it('lets one of two have its way whose deliveries overlap, also where nothing is stored yet', async () => {
    for (let unitNo = 100; unitNo < 100 + ROUNDS; unitNo++) {
      // Keys of their own: nothing but what both have read is in the way of both.
      const answers = await Promise.all([save(0, unitNo, QUARTER, 1), save(1, unitNo, [5, 10], 1)]);
      expect(statusesOf(answers)).toEqual([200, 409]);
    }
  });

  it('lets one of two have its way that both name the same state by If-Match', async () => {
    await save(0, 1, QUARTER, 1);
    for (let round = 0; round < ROUNDS; round++) {
      const etag = String((await read(1)).headers['etag']);
      const answers = await Promise.all(
        [0, 1].map((replica) => save(replica, 1, QUARTER, 10 + 2 * round + replica).set('If-Match', etag)),
      );
      expect(statusesOf(answers)).toEqual([200, 412]);
      const winner = answers.findIndex(({ status }) => status === 200);
      // Both read through one cache, which the winner has told.
      expect((await read(1)).body).toMatchObject({ forecasts: [{ value: 10 + 2 * round + winner }] });
    }
  });

  it('has writers of one series wait for one another, and refuses nobody', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => save(index % 2, 200, QUARTER, index + 1)),
    );
    expect(new Set(statusesOf(answers))).toEqual(new Set([200]));
    expect(engine.waitingSessions).toBe(0);
  });
});
