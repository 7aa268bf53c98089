import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { StartedProcess } from '../../consumer/started-process.js';
import { SqlServerEngine } from '../../support/sql-server/engine/sql-server.engine.js';
import { startTestSqlServer, type TestSqlServer } from '../../support/sql-server/start-sql-server.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const SERIES = '/api/v2.0/production-forecast/FinalForecast/PP/7/forecasts';

describe('the apps as processes that are told of a SQL Server by DATABASE_URL alone', () => {
  const started: StartedProcess[] = [];
  let server: TestSqlServer;

  beforeAll(async () => {
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
    const engine = new SqlServerEngine({ clock: new SystemClock(), random: new SeededRandom(1) });
    engine.createDatabase('app');
    server = await startTestSqlServer({ engine });
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((process) => process.clear()));
  });
  afterAll(() => server?.stop());

  /** An app as `npm run start` starts it, in production: embedded is what is allowed by name, and the database is not. */
  function begin(app: string, migrate: string | undefined): StartedProcess {
    const process_ = new StartedProcess(process.execPath, ['--enable-source-maps', `apps/${app}/dist/main.js`], {
      cwd: ROOT,
      env: {
        PORT: '0',
        NODE_ENV: 'production',
        ALLOW_EMBEDDED: 'pulsar,redis',
        DATABASE_URL: `mssql://sa:hunter2@${server.host}:${server.port}/app?encrypt=false`,
        DATABASE_MIGRATE: migrate,
        PULSAR_URL: undefined,
        REDIS_URL: undefined,
      },
    });
    started.push(process_);
    return process_;
  }

  async function running(
    app: string,
    migrate?: string,
  ): Promise<{ readonly app: StartedProcess; readonly url: string }> {
    const process_ = begin(app, migrate);
    const [, url = ''] = await process_.until(/Listening on (\S+)/);
    return { app: process_, url };
  }

  async function stop(app: StartedProcess): Promise<void> {
    app.kill('SIGTERM');
    const { code, output } = await app.ended;
    expect(code, output).toBe(0);
    expect(output).toContain('SQL Server is where DATABASE_URL says');
    expect(output).not.toContain('hunter2');
  }

  async function latest(url: string): Promise<unknown> {
    const response = await fetch(`${url}${SERIES}/latest?from=2026-02-01T00:00:00Z&to=2026-02-02T00:00:00Z`);
    const text = await response.text();
    expect(response.status, text).toBe(200);
    const { forecasts } = JSON.parse(text) as { forecasts: readonly { value: number }[] };
    return forecasts.map(({ value }) => value);
  }

  it('say what to do where nobody has migrated the database, and do not start', async () => {
    const ends = await Promise.all(
      ['production-forecast', 'notification-service'].map((app) => begin(app, undefined).ended),
    );
    for (const { code, output } of ends) {
      expect(code).toBe(1);
      expect(output).toMatch(/lacks the migrations \w+.*Start once with DATABASE_MIGRATE=1/);
      expect(output).not.toContain('hunter2');
    }
  });

  it('say in one line that the server does not answer, and do not start', async () => {
    await server.goDown();
    try {
      const ends = await Promise.all(
        ['production-forecast', 'notification-service'].map((app) => begin(app, undefined).ended),
      );
      for (const { code, output } of ends) {
        expect(code).toBe(1);
        const [said, ...more] = output.split('\n').filter((line) => line.includes('FATAL'));
        expect(said).toContain(
          `SQL Server at ${server.host}:${server.port}/app does not answer (ECONNREFUSED). Look at`,
        );
        expect(more).toEqual([]);
        expect(output).not.toMatch(/^\s+at /m);
        expect(output).not.toContain('hunter2');
      }
    } finally {
      await server.listenAgain();
    }
  });

  it('migrate it where that is asked, and find their rows after a restart', async () => {
    const first = await running('production-forecast', '1');
    const forecasts = [{ deliveryStart: '2026-02-01T00:00:00Z', deliveryEnd: '2026-02-01T00:15:00Z', value: 12.34 }];
    const saved = await fetch(first.url + SERIES, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ forecasts }),
    });
    expect(saved.status, await saved.text()).toBe(200);
    expect(await latest(first.url)).toEqual([12.34]);
    await stop(first.app);

    const [again, notifications] = await Promise.all([
      running('production-forecast'),
      running('notification-service', '1'),
    ]);
    expect(await latest(again.url)).toEqual([12.34]);
    const unread = await fetch(`${notifications.url}/api/notification/notifications/unread-count`);
    expect(await unread.json()).toEqual({ unread: 0 });
    await Promise.all([stop(again.app), stop(notifications.app)]);
  });
});
