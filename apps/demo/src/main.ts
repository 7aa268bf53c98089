import { Logger } from '@nestjs/common';
import { SeededRandom, SmartPulseError, SystemClock, SystemRandom } from '@smartpulse/resilience';
import { z } from 'zod';
import { loadSeries } from './data/load-series.js';
import { planFeed } from './feed/feed-plan.js';
import { ForecastClient } from './feed/forecast.client.js';
import { DemoHost } from './hosting/demo.host.js';
import { EmbeddedParts } from './hosting/embedded-parts.js';
import { readDemoEnvironment } from './hosting/environment.js';
import { sharedServers } from './hosting/shared-servers.js';
import { stopSignal } from './hosting/stop-signal.js';
import { DemoShow } from './show/demo.show.js';
import { ProgressLine } from './show/progress-line.js';
import { welcome } from './show/welcome.js';

const UNITS = 50;
const INTERVALS_PER_DAY = 96;
const SEED = 20_260_201;

const unreadCount = z.object({ unread: z.number() });
const clock = new SystemClock();

async function run(stopped: AbortSignal): Promise<void> {
  const environment = readDemoEnvironment(process.env);
  const random = new SeededRandom(SEED);
  const series = await loadSeries(environment.dataFile, random);
  const days = Math.ceil((series[0]?.intervals.length ?? 0) / INTERVALS_PER_DAY);
  const plan = planFeed(series, UNITS, days);
  // Last of all that may fail: what it opens is closed by its host.
  const parts = await EmbeddedParts.open(clock, random, {
    shared: sharedServers(environment, clock, new SystemRandom()),
  });
  const host = await DemoHost.start(parts, environment);
  const [forecastUrl, notificationUrl] = [await host.forecastUrl(), await host.notificationUrl()];
  const line = new ProgressLine(process.stdout);
  const show = new DemoShow(clock, new ForecastClient(forecastUrl), line, async () => ({
    ...host.feedFigures(),
    notifications: await countUnread(notificationUrl),
  }));

  process.stdout.write(`${parts.describe()}\n`);
  process.stdout.write(welcome(forecastUrl, notificationUrl, plan));
  try {
    await show.play(plan, stopped);
    await clock.sleep(Number.POSITIVE_INFINITY, stopped);
  } catch (error) {
    if (error !== stopped.reason) {
      throw error;
    }
  } finally {
    line.end();
    const { clean, leftOver } = await host.stop();
    const how = clean ? 'cleanly, nothing left over' : `not cleanly, ${leftOver} left over`;
    process.stdout.write(`Stopped ${how}: ${show.rowsCommitted} rows are committed.\n`);
    process.exitCode = clean ? 0 : 1;
  }
}

async function countUnread(url: string): Promise<number> {
  const response = await fetch(`${url}/api/notification/notifications/unread-count`);
  return unreadCount.parse(await response.json()).unread;
}

try {
  await run(stopSignal(clock));
} catch (error) {
  new Logger('Demo').fatal(error instanceof SmartPulseError ? error.message : error);
  process.exitCode = 1;
}
