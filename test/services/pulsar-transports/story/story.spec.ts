import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type SmokeReport } from '@smartpulse/demo';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { StartedProcess } from '../../../consumer/started-process.js';
import { runFolder } from '../../../support/process/cache-folder.js';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../../support/pulsar/standalone.js';
import { ROWS_PER_DAY, STORY_DAYS, STORY_UNITS, writeSmallStory } from '../../../support/story/small-story.js';

const ROOT = resolve(import.meta.dirname, '../../../..');
const NAMESPACE = 'public/default';

const runtime = await runtimeForTests();
const folder = runFolder('story');
const dataFile = join(folder, 'data.csv');
const authorityFile = join(folder, 'authority.pem');
const started: StartedProcess[] = [];

/** Runs the story to its end as a process of its own, which is told of the broker by its environment alone. */
async function tell(url: string, env: Readonly<Record<string, string | undefined>> = {}): Promise<SmokeReport> {
  const smoke = new StartedProcess(process.execPath, ['--enable-source-maps', 'apps/demo/dist/smoke.js'], {
    cwd: ROOT,
    env: { PULSAR_URL: url, PULSAR_NAMESPACE: undefined, PULSAR_TOKEN: undefined, DEMO_DATA: dataFile, ...env },
  });
  started.push(smoke);
  const { code, output } = await smoke.ended;
  expect(output).toContain(`Embedded in this process: database and cache. Pulsar is at ${url}`);
  expect(output).not.toMatch(/\b(?:ERROR|FATAL|WARN)\b|[Uu]nhandled/);
  expect(output).not.toContain(env['PULSAR_TOKEN'] ?? '(no secret)');
  expect(code, output).toBe(0);
  const report: SmokeReport = JSON.parse(output.slice(output.lastIndexOf('\n{') + 1));
  console.log(`${new URL(url).protocol} ${JSON.stringify(report)}`);
  expect(report).toMatchObject({
    lost: 0,
    losses: { rows: 0, events: 0, values: 0 },
    sumsAreExact: true,
    quiet: true,
  });
  return report;
}

beforeAll(() => {
  if (runtime !== undefined) {
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: 'inherit' });
    writeSmallStory(dataFile);
  }
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((process) => process.clear()));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.runIf(runtime !== undefined)('the whole story on a real broker, as a process that is told its address', () => {
  let pulsar: PulsarStandalone;

  beforeAll(async () => {
    if (runtime === undefined) {
      throw new Error('There is no runtime: the suite is skipped then');
    }
    pulsar = await PulsarStandalone.start(runtime);
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  /** The topics that runs have made so far, and the subscriptions that they have left on them. */
  async function leftOnTheBroker(): Promise<{ readonly runs: number; readonly subscriptions: readonly string[] }> {
    const topics = (await pulsar.admin.listTopics(NAMESPACE)).filter((topic) => topic.includes('/run-'));
    const subscriptions: string[] = [];
    for (const topic of topics) {
      const stats = await pulsar.admin.request('GET', `/admin/v2/${topic.replace('://', '/')}/subscriptions`);
      subscriptions.push(...(JSON.parse(stats.text) as string[]).map((name) => `${topic} ${name}`));
    }
    return { runs: new Set(topics.map((topic) => /\/(run-\w+-\w+)-/.exec(topic)?.[1])).size, subscriptions };
  }

  it.each([
    ['pulsar://, on an empty broker', (): string => pulsar.serviceUrl],
    ['pulsar://, once more on the same broker', (): string => pulsar.serviceUrl],
    ['ws://, on the broker that two runs have filled', (): string => pulsar.webSocketUrl],
  ])('loses nothing by %s', async (_way, url) => {
    const before = await leftOnTheBroker();
    const report = await tell(url());

    // Every row once, those saved off at first twice, and the measurements.
    expect(report.committedRows).toBe(
      2 * STORY_UNITS * STORY_DAYS * ROWS_PER_DAY + (STORY_UNITS * STORY_DAYS * ROWS_PER_DAY) / 64,
    );
    expect(report.deliveredEnvelopes).toBeGreaterThanOrEqual(report.publishedEnvelopes);
    expect(report.applied).toBeGreaterThan(0);
    expect(report.notifications).toBeGreaterThan(0);
    expect(await leftOnTheBroker()).toEqual({ runs: before.runs + 1, subscriptions: [] });
  });
});

describe.runIf(runtime !== undefined)(
  'the whole story on a real broker that asks who is there, by an encrypted line',
  () => {
    let pulsar: PulsarStandalone;

    beforeAll(async () => {
      if (runtime === undefined) {
        throw new Error('There is no runtime: the suite is skipped then');
      }
      pulsar = await PulsarStandalone.start(runtime, { authentication: true, tls: ['localhost'] });
      await pulsar.admin.createTenant('energy');
      await pulsar.admin.createNamespace('energy/live');
      await pulsar.admin.grant('energy/live', 'story', ['produce', 'consume']);
      writeFileSync(authorityFile, pulsar.tls.authority);
    });
    afterAll(async () => {
      await pulsar?.stop();
    });

    it.each([
      ['pulsar+ssl://', (): string => pulsar.tls.serviceUrl],
      ['wss://', (): string => pulsar.tls.webSocketUrl],
    ])('loses nothing by %s with a token, an authority of its own and a namespace', async (_way, url) => {
      const report = await tell(url(), {
        PULSAR_TOKEN: pulsar.token({ subject: 'story' }),
        PULSAR_NAMESPACE: 'energy/live',
        NODE_EXTRA_CA_CERTS: authorityFile,
      });
      expect(report.applied).toBeGreaterThan(0);
      expect((await pulsar.admin.listTopics('energy/live')).some((topic) => topic.includes('/run-'))).toBe(true);
    });
  },
);
