import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { StartedProcess } from '../../consumer/started-process.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const WAIT = { timeout: 60_000, interval: 50 };
const version = redisForTests();
const POSITION = '{production-forecast:position:production-forecast:production-forecast:dbo.forecast}:r';
const EPOCH = '{production-forecast:epoch:production-forecast}:r';
const SERIES = '/api/v2.0/production-forecast/FinalForecast/PP/7/forecasts';

describe.runIf(version !== undefined)(`ProductionForecast on Redis ${version} and a database file`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'smartpulse-apps-'));
  const [data, backup] = [join(folder, 'data'), join(folder, 'backup')];
  let server: RedisServer;
  let redis: Redis;
  const started: StartedProcess[] = [];

  beforeAll(async () => {
    server = await RedisServer.start({ password: 'p' });
    redis = new Redis(server.url);
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((process) => process.clear()));
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
    rmSync(folder, { recursive: true });
  });

  /** The app as `npm run start` starts it. */
  async function start(): Promise<{ readonly app: StartedProcess; readonly url: string }> {
    const app = new StartedProcess(
      process.execPath,
      ['test/support/process/run-source.mjs', 'apps/production-forecast/src/main.ts'],
      {
        cwd: ROOT,
        env: {
          PORT: '0',
          REDIS_URL: server.url,
          DATABASE_URL: `sqlite:${join(data, 'forecasts.sqlite')}`,
          PULSAR_URL: undefined,
          NODE_ENV: undefined,
        },
      },
    );
    started.push(app);
    const [, url = ''] = await app.until(/Listening on (\S+)/);
    return { app, url };
  }

  async function stop(app: StartedProcess): Promise<string> {
    app.kill('SIGTERM');
    const { code, output } = await app.ended;
    expect(code, output).toBe(0);
    return output;
  }

  async function save(url: string, value: number): Promise<void> {
    const forecasts = [{ deliveryStart: '2026-02-01T00:00:00Z', deliveryEnd: '2026-02-01T00:15:00Z', value }];
    const response = await fetch(url + SERIES, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ forecasts }),
    });
    expect(response.status, await response.text()).toBeLessThan(300);
  }

  async function latest(url: string): Promise<unknown> {
    const query = 'from=2026-02-01T00:00:00Z&to=2026-02-02T00:00:00Z';
    const response = await fetch(`${url}${SERIES}/latest?${query}`);
    const { forecasts } = (await response.json()) as { forecasts: readonly { value: number }[] };
    return forecasts.map(({ value }) => value);
  }

  /** Resolves when the outside copy says something else than `before` and has said the same for a while. */
  async function positionMoves(before: string | null): Promise<string | null> {
    await expect.poll(() => redis.get(POSITION), WAIT).not.toBe(before);
    return await redis.get(POSITION);
  }

  const epoch = async (): Promise<number> => Number((await redis.get(EPOCH))?.slice(2, 12));

  it('stops cleanly, and notices that its file was put back from a backup: no reader is shown what was lost', async () => {
    const first = await start();
    const unknown = await redis.get(POSITION);
    await save(first.url, 1);
    const saved = await positionMoves(unknown);
    expect(saved).not.toBeNull();
    await stop(first.app);
    const began = await epoch();
    expect(began).toBeGreaterThan(1_700_000_000);
    cpSync(data, backup, { recursive: true });

    const second = await start();
    expect(await latest(second.url)).toEqual([1]);
    await save(second.url, 2);
    expect(await latest(second.url)).toEqual([2]);
    await expect.poll(async () => (await redis.get(POSITION))?.slice(12, 47), WAIT).not.toBe(saved?.slice(12, 47));
    expect(await stop(second.app)).not.toContain('was set back');
    expect(await epoch()).toBe(began);

    rmSync(data, { recursive: true });
    cpSync(backup, data, { recursive: true });
    const third = await start();
    await third.app.until(/was set back/);
    await expect.poll(epoch, WAIT).toBeGreaterThan(began);
    await expect.poll(() => latest(third.url), WAIT).toEqual([1]);
    await save(third.url, 3);
    await expect.poll(() => latest(third.url), WAIT).toEqual([3]);
    await stop(third.app);
  });
});
