import { SeededRandom, SmartPulseError, SystemClock, SystemRandom } from '@smartpulse/resilience';
import { loadSeries } from './data/load-series.js';
import { readDemoEnvironment } from './hosting/environment.js';
import { sharedServers } from './hosting/shared-servers.js';
import { type SmokeReport, tellSmokeStory } from './story/smoke.story.js';

const UNITS = 50;
const MEASURED_DAYS = 4;
const SEED = 20_260_201;

async function run(): Promise<SmokeReport> {
  const environment = readDemoEnvironment(process.env);
  const clock = new SystemClock();
  const random = new SeededRandom(SEED);
  const series = await loadSeries(environment.dataFile, random);
  return tellSmokeStory({
    clock,
    random,
    series,
    unitCount: UNITS,
    measuredDays: MEASURED_DAYS,
    shared: sharedServers(environment, clock, new SystemRandom()),
    // Not among the report, which is the one line of standard output.
    say: (sentence) => process.stderr.write(`${sentence}\n`),
  });
}

try {
  const report = await run();
  console.log(JSON.stringify(report));
  process.exitCode = report.lost === 0 && report.sumsAreExact && report.quiet ? 0 : 1;
} catch (error) {
  // Not by Nest's logger: the story's apps have silenced it.
  console.error(error instanceof SmartPulseError ? error.message : error);
  process.exitCode = 1;
}
