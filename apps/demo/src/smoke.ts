import { Logger } from '@nestjs/common';
import { ConfigurationError, SeededRandom, SystemClock } from '@smartpulse/resilience';
import { loadSeries } from './data/load-series.js';
import { readDemoEnvironment } from './hosting/environment.js';
import { type SmokeReport, tellSmokeStory } from './story/smoke.story.js';

const UNITS = 50;
const MEASURED_DAYS = 4;
const SEED = 20_260_201;

async function run(): Promise<SmokeReport> {
  const { dataFile } = readDemoEnvironment(process.env);
  const random = new SeededRandom(SEED);
  const series = await loadSeries(dataFile, random);
  return tellSmokeStory({ clock: new SystemClock(), random, series, unitCount: UNITS, measuredDays: MEASURED_DAYS });
}

try {
  const report = await run();
  console.log(JSON.stringify(report));
  process.exitCode = report.lost === 0 && report.sumsAreExact && report.quiet ? 0 : 1;
} catch (error) {
  new Logger('Smoke').fatal(ConfigurationError.is(error) ? error.message : error);
  process.exitCode = 1;
}
