import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type SmokeReport } from '@smartpulse/demo';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { StartedProcess } from '../../consumer/started-process.js';
import { runFolder } from '../../support/process/cache-folder.js';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';
import { writeSmallStory } from '../../support/story/small-story.js';

const ROOT = resolve(import.meta.dirname, '../../..');

const version = redisForTests();
const runtime = await runtimeForTests();
const folder = runFolder('redis-story');
const dataFile = join(folder, 'data.csv');
const started: StartedProcess[] = [];

describe.runIf(version !== undefined && runtime !== undefined)(
  'the whole story on a real Redis and a real Pulsar',
  () => {
    let redis: RedisServer;
    let pulsar: PulsarStandalone;

    beforeAll(async () => {
      if (runtime === undefined) {
        throw new Error('There is no runtime: the suite is skipped then');
      }
      execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
      writeSmallStory(dataFile);
      [redis, pulsar] = await Promise.all([RedisServer.start({ password: 'p' }), PulsarStandalone.start(runtime)]);
    });
    afterEach(async () => {
      await Promise.all(started.splice(0).map((process) => process.clear()));
    });
    afterAll(async () => {
      await Promise.all([redis?.stop(), pulsar?.stop()]);
      rmSync(folder, { recursive: true, force: true });
    });

    function begin(pulsarUrl: string | undefined): StartedProcess {
      const smoke = new StartedProcess(process.execPath, ['--enable-source-maps', 'apps/demo/dist/smoke.js'], {
        cwd: ROOT,
        env: {
          REDIS_URL: redis.url,
          PULSAR_URL: pulsarUrl,
          PULSAR_NAMESPACE: undefined,
          PULSAR_TOKEN: undefined,
          DEMO_DATA: dataFile,
        },
      });
      started.push(smoke);
      return smoke;
    }

    async function reportOf(smoke: StartedProcess): Promise<SmokeReport> {
      const { code, output } = await smoke.ended;
      expect(output).toContain('Redis is there, keys {run-');
      expect(output).not.toContain(redis.url);
      expect(code, output).toBe(0);
      const report: SmokeReport = JSON.parse(output.slice(output.lastIndexOf('\n{') + 1));
      console.log(JSON.stringify(report));
      return report;
    }

    const nothingLost = { lost: 0, losses: { rows: 0, events: 0, values: 0 }, sumsAreExact: true, quiet: true };

    it.each([
      ['with the broker in the process', (): string | undefined => undefined],
      ['with a real Pulsar', (): string | undefined => pulsar.serviceUrl],
      ['with a real Pulsar, once more on the same servers', (): string | undefined => pulsar.serviceUrl],
    ])('loses nothing %s', async (_with, url) => {
      const report = await reportOf(begin(url()));
      expect(report).toMatchObject(nothingLost);
      expect(report.applied).toBeGreaterThan(0);
    });

    it('loses nothing when Redis is killed in the middle and comes back empty', async () => {
      const client = new Redis(redis.url);
      // What earlier runs have left would say at once that this one is under way.
      await client.flushdb();
      const smoke = begin(pulsar.serviceUrl);
      await expect.poll(() => client.dbsize(), { timeout: 60_000 }).toBeGreaterThan(20);
      client.disconnect();
      await redis.restart();
      expect(await reportOf(smoke)).toMatchObject(nothingLost);
    });

    it('loses nothing when the broker is killed in the middle and comes back', async () => {
      const smoke = begin(pulsar.serviceUrl);
      const client = new Redis(redis.url);
      const before = await client.dbsize();
      await expect.poll(() => client.dbsize(), { timeout: 60_000 }).toBeGreaterThan(before + 20);
      client.disconnect();
      await pulsar.kill();
      await pulsar.restart();
      expect(await reportOf(smoke)).toMatchObject(nothingLost);
    });
  },
);
