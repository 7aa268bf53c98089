import { SeededRandom, SystemClock } from '@smartpulse/resilience';
import { loadSeries } from './data/load-series.js';
import { readDemoEnvironment } from './hosting/environment.js';
import { tellSmokeStory } from './story/smoke.story.js';

const UNITS = 50;
const MEASURED_DAYS = 4;
const SEED = 20_260_201;

const { dataFile } = readDemoEnvironment(process.env);
const random = new SeededRandom(SEED);
const report = await tellSmokeStory({
  clock: new SystemClock(),
  random,
  series: await loadSeries(dataFile, random),
  unitCount: UNITS,
  measuredDays: MEASURED_DAYS,
});
console.log(JSON.stringify(report));
process.exitCode = report.lost === 0 && report.sumsAreExact && report.quiet ? 0 : 1;
