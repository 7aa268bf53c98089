import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type SmokeReport } from '@smartpulse/demo';
import { SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { StartedProcess } from '../../consumer/started-process.js';
import { runFolder } from '../../support/process/cache-folder.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';
import { SqlServerEngine } from '../../support/sql-server/engine/sql-server.engine.js';
import { StatementLog } from '../../support/sql-server/statement-log.js';
import { startTestSqlServer, type TestSqlServer } from '../../support/sql-server/start-sql-server.js';
import { writeSmallStory } from '../../support/story/small-story.js';

const ROOT = resolve(import.meta.dirname, '../../..');

const version = redisForTests();
const runtime = await runtimeForTests();
const folder = runFolder('sql-server-story');
const dataFile = join(folder, 'data.csv');
const started: StartedProcess[] = [];

describe.runIf(version !== undefined && runtime !== undefined)(
  'the whole story on SQL Server by its wire protocol, a real Redis and a real Pulsar',
  () => {
    let redis: RedisServer;
    let pulsar: PulsarStandalone;
    let engine: SqlServerEngine;
    let sqlServer: TestSqlServer;
    const log = new StatementLog();

    beforeAll(async () => {
      if (runtime === undefined) {
        throw new Error('There is no runtime: the suite is skipped then');
      }
      execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
      writeSmallStory(dataFile, 1);
      engine = new SqlServerEngine({ clock: new SystemClock(), random: new SeededRandom(1) });
      [redis, pulsar, sqlServer] = await Promise.all([
        RedisServer.start({ password: 'p' }),
        PulsarStandalone.start(runtime),
        startTestSqlServer({ engine, faults: log }),
      ]);
    });
    afterEach(async () => {
      await Promise.all(started.splice(0).map((process) => process.clear()));
    });
    afterAll(async () => {
      await Promise.all([redis?.stop(), pulsar?.stop(), sqlServer?.stop()]);
      rmSync(folder, { recursive: true, force: true });
    });

    it.each(['on empty servers', 'once more on the same servers'])('loses nothing %s', async () => {
      const databaseUrl = `mssql://sa:hunter2@${sqlServer.host}:${sqlServer.port}/master?encrypt=false`;
      const smoke = new StartedProcess(process.execPath, ['--enable-source-maps', 'apps/demo/dist/smoke.js'], {
        cwd: ROOT,
        env: {
          DATABASE_URL: databaseUrl,
          REDIS_URL: redis.url,
          PULSAR_URL: pulsar.serviceUrl,
          PULSAR_NAMESPACE: undefined,
          PULSAR_TOKEN: undefined,
          DEMO_DATA: dataFile,
        },
      });
      started.push(smoke);
      const { code, output } = await smoke.ended;

      expect(output).toMatch(/^Pulsar is at .*Redis is there.*SQL Server is there, database run-\S+$/m);
      expect(output).not.toContain('Embedded');
      expect(output).not.toContain('hunter2');
      expect(code, output).toBe(0);
      const report: SmokeReport = JSON.parse(output.slice(output.lastIndexOf('\n{') + 1));
      console.log(JSON.stringify(report));
      expect(report).toMatchObject({
        lost: 0,
        losses: { rows: 0, events: 0, values: 0 },
        sumsAreExact: true,
        quiet: true,
      });
      expect(report.applied).toBeGreaterThan(0);
      expect(report.notifications).toBeGreaterThan(0);
      // The run's database is gone with it.
      expect(engine.databaseNames).toEqual(['master']);
      expect(engine.sessions).toBe(0);
    });

    it.each([
      [
        'production-forecast',
        ['production-forecast-writer', 'production-forecast-reader-1', 'production-forecast-reader-2'],
      ],
      ['notification-service', ['notification-service-main']],
      ['demo', ['demo-run']],
    ])('%s sent nothing that is not written down', (app, applications) => {
      const known = readFileSync(join(ROOT, `test/wire/apps/forms/${app}.sql`), 'utf8');
      const forms = log.forms(...applications).map((form) => form.replace(/\[run-[^\]]+\]/, '[run]'));
      expect(forms.length).toBeGreaterThanOrEqual(5);
      // A transaction that gave way to another one began again.
      expect(forms.filter((form) => !known.includes(form) && form !== '-- rollback')).toEqual([]);
    });
  },
);
