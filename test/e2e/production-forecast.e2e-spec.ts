import { EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import {
  createProductionForecastApp,
  ForecastEntity,
  type ProductionForecastRole,
} from '@smartpulse/production-forecast';
import { InProcessBroker } from '@smartpulse/pulsar/in-process';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { SystemClock } from '@smartpulse/resilience';
import { type Server } from 'node:http';
import request from 'supertest';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

const BASE = '/api/v2.0/production-forecast';
const DAY = '2026-01-31';
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

type App = Awaited<ReturnType<typeof createProductionForecastApp>>;

interface Item {
  readonly deliveryStart: string;
  readonly deliveryEnd: string;
  readonly value: number;
}

interface Unit {
  readonly path: string;
  readonly save: (forecasts: readonly unknown[]) => request.Test;
  readonly latest: (query?: object, on?: Server) => request.Test;
}

/** Deliveries from the begin of {@link DAY} (UTC) on, one value each, written with the offset of Istanbul. */
function items(values: readonly number[], minutes = 15, from = `${DAY}T00:00:00Z`): Item[] {
  const local = (ms: number): string => `${new Date(ms + 3 * HOUR_MS).toISOString().slice(0, 19)}+03:00`;
  return values.map((value, index) => {
    const startMs = Date.parse(from) + index * minutes * MINUTE_MS;
    return { deliveryStart: local(startMs), deliveryEnd: local(startMs + minutes * MINUTE_MS), value };
  });
}

const bodyOf = (response: { readonly body: Record<string, unknown> }): Record<string, unknown> => response.body;
const etagOf = (response: request.Response): string => String(response.headers['etag']);

describe('ProductionForecast over HTTP', () => {
  const clock = new SystemClock();
  const database = EmbeddedDatabase.open({ name: 'forecast-e2e', clock });
  const broker = new InProcessBroker({ clock });
  const cacheServer = new EmbeddedCacheServer({ clock });
  const apps: App[] = [];
  let server: Server;
  let reader: Server;
  let nextUnit = 1;

  async function boot(replica: string, roles: readonly ProductionForecastRole[]): Promise<Server> {
    const app = await createProductionForecastApp(
      // Entries live longer than the test: only the sync makes the other replica right.
      { database, broker, cacheServer, replica, roles, clock, cache: { l1TtlMs: 3_600_000, negativeTtlMs: 3_600_000 } },
      { signals: false, logger: false },
    );
    apps.push(app);
    await app.listen(0, '127.0.0.1');
    return app.getHttpServer();
  }

  beforeAll(async () => {
    server = await boot('writer', ['write', 'publish', 'apply']);
    reader = await boot('reader', ['apply']);
  });

  afterAll(async () => {
    for (const app of apps.toReversed()) {
      await app.close();
    }
    cacheServer.close();
    await broker.close();
    await database.close();
  });

  /** A unit of its own for each test. */
  function unit(): Unit {
    const path = `${BASE}/FinalForecast/PP/${nextUnit++}/forecasts`;
    return {
      path,
      save: (forecasts) => request(server).post(path).send({ forecasts }),
      latest: (query = {}, on = server) =>
        request(on)
          .get(`${path}/latest`)
          .query({ from: `${DAY}T00:00:00Z`, to: '2026-02-01T00:00:00Z', ...query }),
    };
  }

  it('shows a save to the next reader of the replica that saved it, in UTC and rounded half away from zero', async () => {
    const { save, latest } = unit();
    const saved = await save(items([1.005, 2]));
    expect(saved.status).toBe(200);
    expect(saved.body).toEqual({ batchId: expect.stringMatching(/^[\w-]{22}$/), saved: 2, skipped: 0 });

    const response = await latest();
    expect(response.status).toBe(200);
    expect(bodyOf(response)['forecasts']).toEqual([
      { deliveryStart: '2026-01-31T00:00:00.000Z', deliveryEnd: '2026-01-31T00:15:00.000Z', value: 1.01 },
      { deliveryStart: '2026-01-31T00:15:00.000Z', deliveryEnd: '2026-01-31T00:30:00.000Z', value: 2 },
    ]);
  });

  it('shows a correction to its writer at once even though the day was cached', async () => {
    const { save, latest } = unit();
    await save(items([1, 2]));
    const before = await latest();
    await save(items([1, 3]));
    const after = await latest();
    expect(bodyOf(after)['forecasts']).toMatchObject([{ value: 1 }, { value: 3 }]);
    expect(etagOf(after)).not.toBe(etagOf(before));
  });

  it('shows a save on another replica that had cached the day, though its entries live longer than the test', async () => {
    const { save, latest } = unit();
    expect(bodyOf(await latest({}, reader))['forecasts']).toEqual([]);
    await save(items([1]));
    await vi.waitFor(
      async () => expect(bodyOf(await latest({}, reader))['forecasts']).toMatchObject([{ value: 1 }]),
      10_000,
    );
    await save(items([7]));
    await vi.waitFor(
      async () => expect(bodyOf(await latest({}, reader))['forecasts']).toMatchObject([{ value: 7 }]),
      10_000,
    );
  });

  it('makes every replica right when rows are changed behind its back, because the table itself is followed', async () => {
    const { path, save, latest } = unit();
    await save(items([1, 2]));
    await latest();
    await latest({}, reader);
    const outsider = await new DataSource(
      database.typeOrmOptions({ name: 'outsider', entities: [ForecastEntity] }),
    ).initialize();
    try {
      await outsider.manager.update(
        ForecastEntity,
        { unitNo: Number(path.split('/').at(-2)) },
        { valueHundredths: 900 },
      );
    } finally {
      await outsider.destroy();
    }
    for (const on of [server, reader]) {
      await vi.waitFor(
        async () => expect(bodyOf(await latest({}, on))['forecasts']).toMatchObject([{ value: 9 }, { value: 9 }]),
        10_000,
      );
    }
  });

  it('has no way to save on a replica without the role', async () => {
    const { path } = unit();
    const response = await request(reader)
      .post(path)
      .send({ forecasts: items([1]) });
    expect(response.status).toBe(404);
    expect(response.headers['content-type']).toBe('application/problem+json');
  });

  it('skips what is stored already, so an identical save changes no ETag', async () => {
    const { save, latest } = unit();
    await save(items([1, 2]));
    const before = await latest();
    expect((await save(items([1, 2]))).body).toMatchObject({ saved: 0, skipped: 2 });
    expect((await save(items([1, 2, 3]))).body).toMatchObject({ saved: 1, skipped: 2 });
    await save(items([1, 2]));
    expect(etagOf(await latest({ to: `${DAY}T00:30:00Z` }))).not.toBe(etagOf(before));
  });

  it('answers 304 without a body to whoever has the representation', async () => {
    const { save, latest } = unit();
    await save(items([1]));
    const etag = etagOf(await latest());
    const again = await latest().set('If-None-Match', `"other", W/${etag}`);
    expect(again.status).toBe(304);
    expect(again.text).toBe('');
    expect(etagOf(again)).toBe(etag);
    expect((await latest().set('If-None-Match', '"other"')).status).toBe(200);
  });

  it('saves under If-Match while the latest over exactly the range is the one that was read, else answers 412 and saves nothing', async () => {
    const { save, latest } = unit();
    await save(items([1, 2, 3]));
    const firstTwo = { to: `${DAY}T00:30:00Z` };
    const etag = etagOf(await latest(firstTwo));
    expect((await save(items([4, 5])).set('If-Match', etag)).status).toBe(200);

    const stale = await save(items([6, 7])).set('If-Match', etag);
    expect(stale.status).toBe(412);
    expect(stale.headers['content-type']).toBe('application/problem+json');
    expect(bodyOf(await latest(firstTwo))['forecasts']).toMatchObject([{ value: 4 }, { value: 5 }]);
  });

  it('lets one of two writers win that read the same representation', async () => {
    const { save, latest } = unit();
    await save(items([1]));
    const etag = etagOf(await latest({ to: `${DAY}T00:15:00Z` }));
    const answers = await Promise.all([2, 3].map((value) => save(items([value])).set('If-Match', etag)));
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 412]);
  });

  it('understands the star of If-Match as: there is something', async () => {
    const { save } = unit();
    expect((await save(items([1])).set('If-Match', '*')).status).toBe(412);
    await save(items([1]));
    expect((await save(items([2])).set('If-Match', '*')).status).toBe(200);
    expect((await save(items([3])).set('If-Match', 'unquoted')).status).toBe(400);
  });

  it('refuses wrong items with 400, points at each and saves nothing of the request', async () => {
    const { save, latest } = unit();
    const [good, local, negative, misaligned] = items([1, 2, -3, 4]);
    const response = await save([
      good,
      { ...local, deliveryStart: `${DAY}T03:15:00` },
      negative,
      { ...misaligned, deliveryStart: `${DAY}T00:50:00Z`, deliveryEnd: `${DAY}T01:05:00Z` },
    ]);
    expect(response.status).toBe(400);
    expect(response.headers['content-type']).toBe('application/problem+json');
    expect(response.body).toMatchObject({
      type: 'urn:smartpulse:problem:invalid-request',
      title: 'Bad Request',
      status: 400,
      errors: [{ pointer: '#/forecasts/1/deliveryStart', code: 'InvalidInstant' }],
    });
    const rules = await save([
      good,
      negative,
      { ...misaligned, deliveryStart: `${DAY}T00:50:00Z`, deliveryEnd: `${DAY}T01:05:00Z` },
    ]);
    expect(rules.body).toMatchObject({
      errors: [
        { pointer: '#/forecasts/1/value', code: 'LowerLimit' },
        { pointer: '#/forecasts/2/deliveryStart', code: 'NotAligned' },
      ],
    });
    expect(bodyOf(await latest())['forecasts']).toEqual([]);
  });

  it('refuses a delivery that is given twice', async () => {
    const { save } = unit();
    const response = await save([...items([1]), ...items([2])]);
    expect(response.body).toMatchObject({
      errors: [{ pointer: '#/forecasts/1/deliveryStart', code: 'DuplicateDeliveries' }],
    });
  });

  it('refuses an overlap with what is stored (409) and nothing of its neighbours in the batch', async () => {
    const stored = unit();
    await stored.save(items([1], 60));
    const others = Array.from({ length: 20 }, unit);
    const answers = await Promise.all([
      ...others.slice(0, 10).map(({ save }) => save(items([5, 6]))),
      stored.save([...items([9], 15, '2026-02-01T00:00:00Z'), ...items([9])]),
      ...others.slice(10).map(({ save }) => save(items([5, 6]))),
    ]);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20);
    expect(answers[10]?.status).toBe(409);
    for (const { latest } of others) {
      expect(bodyOf(await latest())['forecasts']).toMatchObject([{ value: 5 }, { value: 6 }]);
    }
    const kept = await stored.latest({ to: '2026-02-02T00:00:00Z' });
    expect(bodyOf(kept)['forecasts']).toMatchObject([{ value: 1 }]);
  });

  it('saves 5,000 forecasts in one request and refuses 5,001 with 413', async () => {
    const { save, latest } = unit();
    const many = items(
      Array.from({ length: 5_001 }, (_, index) => index / 100),
      5,
    );
    expect((await save(many)).status).toBe(413);
    expect((await save(many.slice(0, 5_000))).body).toMatchObject({ saved: 5_000, skipped: 0 });
    const month = await latest({ to: '2026-02-28T00:00:00Z' });
    expect(bodyOf(month)['forecasts']).toHaveLength(5_000);
  });

  it('refuses a body above the limit with 413 before reading it', async () => {
    const { save, latest } = unit();
    const response = await save([{ ...items([1])[0], note: 'x'.repeat(1_100_000) }]);
    expect(response.status).toBe(413);
    expect(response.body).toMatchObject({ title: 'Content Too Large', status: 413 });
    expect(bodyOf(await latest())['forecasts']).toEqual([]);
  });

  it('answers at a coarser resolution with the mean power', async () => {
    const { save, latest } = unit();
    await save(items([1, 2, 3, 4, 9]));
    expect(bodyOf(await latest({ resolution: 60 }))).toMatchObject({
      resolution: 60,
      forecasts: [
        { deliveryStart: '2026-01-31T00:00:00.000Z', value: 2.5, complete: true },
        { deliveryStart: '2026-01-31T01:00:00.000Z', value: 9, complete: false },
      ],
    });
    const tooFine = await latest({ resolution: 5 });
    expect(tooFine.status).toBe(400);
    expect(tooFine.body).toMatchObject({ errors: [{ pointer: 'resolution', code: 'ResolutionTooFine' }] });
  });

  it('keeps measurements as a provider of their own', async () => {
    const { path, save } = unit();
    await save(items([1]));
    const measured = path.replace('FinalForecast', 'Measured');
    await request(server)
      .post(measured)
      .send({ forecasts: items([2]) });
    const query = { from: `${DAY}T00:00:00Z`, to: '2026-02-01T00:00:00Z' };
    expect(bodyOf(await request(server).get(`${measured}/latest`).query(query))['forecasts']).toMatchObject([
      { value: 2 },
    ]);
    expect(bodyOf(await request(server).get(`${path}/latest`).query(query))['forecasts']).toMatchObject([{ value: 1 }]);
  });

  it.each([
    ['an unknown provider', 'Oracle/PP/7', 'provider'],
    ['an unknown unit type', 'FinalForecast/WIND/7', 'unitType'],
    ['a unit that is no number', 'FinalForecast/PP/seven', 'unitNo'],
  ])('refuses %s with 400', async (_what, series, pointer) => {
    const response = await request(server)
      .post(`${BASE}/${series}/forecasts`)
      .send({ forecasts: items([1]) });
    expect(response.status).toBe(400);
    expect(response.body).toMatchObject({ errors: [{ pointer }] });
  });

  it('answers every failure as problem details: no route, no JSON, another media type', async () => {
    const { path } = unit();
    const noRoute = await request(server).get('/api/nothing');
    const noJson = await request(server).post(path).set('Content-Type', 'application/json').send('{"forecasts":[');
    const text = await request(server).post(path).set('Content-Type', 'text/csv').send('a;b');
    expect([noRoute, noJson, text].map((response) => [response.status, response.headers['content-type']])).toEqual([
      [404, 'application/problem+json'],
      [400, 'application/problem+json'],
      [415, 'application/problem+json'],
    ]);
  });

  it('says that it is alive and ready', async () => {
    for (const probe of ['live', 'ready', 'startup']) {
      await vi.waitFor(async () => expect((await request(server).get(`/health/${probe}`)).status).toBe(200), 10_000);
    }
  });
});
