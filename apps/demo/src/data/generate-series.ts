import type { Random } from '@smartpulse/resilience';
import { type CentiMegawatts, INTERVAL_MS, type RegionSeries, type SeriesInterval } from './series.js';

const INTERVALS_PER_HOUR = 4;
const INTERVALS_PER_DAY = 96;

/** What is generated: 28 days from the first of a February, local winter time (UTC+1). */
export const GENERATED_DAYS = 28;
export const GENERATED_START_MS = Date.UTC(2026, 0, 31, 23);

interface RegionShape {
  readonly zone: string;
  readonly technology: 'wind' | 'solar';
  /** The largest power that the region can give, in megawatts. */
  readonly capacityMw: number;
  /** Hourly values, each repeated four times, instead of a value per quarter of an hour. */
  readonly hourlyForecast: boolean;
}

const REGIONS: readonly RegionShape[] = [
  { zone: 'Inland', technology: 'wind', capacityMw: 500, hourlyForecast: false },
  { zone: 'Coast', technology: 'wind', capacityMw: 6_400, hourlyForecast: true },
  { zone: 'Coast', technology: 'solar', capacityMw: 2_100, hourlyForecast: true },
];

// Shaped after published day-ahead forecasts and metered production of two German zones in a winter month: the median of wind is near a
// tenth of its capacity and a tenth of the time it is above half of it; the error of the forecast is near a tenth of capacity (root mean
// square), keeps 60 to 70 % of its correlation over four hours and none over a day.
const WIND_HOURS = 22;
const ERROR_HOURS = 8;
const CLOUD_HOURS = 5;

/** Three regions, four weeks of quarter hours: the same `random` state gives the same series. */
export function generateSeries(random: Random): readonly RegionSeries[] {
  return REGIONS.map((shape) => ({
    zone: shape.zone,
    technology: shape.technology,
    intervals: shape.technology === 'wind' ? windIntervals(shape, random) : sunIntervals(shape, random),
  }));
}

function windIntervals(shape: RegionShape, random: Random): readonly SeriesInterval[] {
  const weather = new SmoothNoise(random, WIND_HOURS);
  const error = new SmoothNoise(random, ERROR_HOURS);
  let runBias = 0;
  return buildIntervals(shape, (index) => {
    if (index % INTERVALS_PER_DAY === 0) {
      // A new day-ahead run takes over at midnight: the forecast steps.
      runBias = gaussian(random) * 0.25;
    }
    const state = weather.next();
    const missed = error.next() * 0.55 + runBias;
    return { actual: windPower(state), forecast: windPower(state + missed) };
  });
}

function sunIntervals(shape: RegionShape, random: Random): readonly SeriesInterval[] {
  const clouds = new SmoothNoise(random, CLOUD_HOURS);
  const error = new SmoothNoise(random, ERROR_HOURS);
  let haze = 0;
  return buildIntervals(shape, (index) => {
    if (index % INTERVALS_PER_DAY === 0) {
      haze = gaussian(random);
    }
    const clear = clearSky((index % INTERVALS_PER_DAY) / INTERVALS_PER_HOUR);
    const cover = haze + clouds.next() * 0.7;
    return { actual: clear * cloudFactor(cover), forecast: clear * cloudFactor(cover + error.next() * 0.75) };
  });
}

function buildIntervals(
  shape: RegionShape,
  power: (index: number) => { readonly actual: number; readonly forecast: number },
): readonly SeriesInterval[] {
  const points = Array.from({ length: GENERATED_DAYS * INTERVALS_PER_DAY }, (_, index) => power(index));
  return points.map((point, index) => {
    const forecast = shape.hourlyForecast ? hourlyMean(points, index) : point.forecast;
    return {
      startMs: GENERATED_START_MS + index * INTERVAL_MS,
      forecast: toCentiMegawatts(forecast * shape.capacityMw),
      actual: toCentiMegawatts(point.actual * shape.capacityMw),
    };
  });
}

function hourlyMean(points: readonly { readonly forecast: number }[], index: number): number {
  const first = index - (index % INTERVALS_PER_HOUR);
  const hour = points.slice(first, first + INTERVALS_PER_HOUR);
  return hour.reduce((sum, point) => sum + point.forecast, 0) / hour.length;
}

/** Share of capacity for a standard normal weather state: log-normal at low wind, flat towards full power. */
function windPower(state: number): number {
  return 1 - Math.exp(-0.1 * Math.exp(1.35 * state));
}

/** Share of capacity under a clear winter sky at an hour of the local day. */
function clearSky(hour: number): number {
  const sunrise = 7.5;
  const sunset = 17.5;
  return hour <= sunrise || hour >= sunset ? 0 : Math.sin((Math.PI * (hour - sunrise)) / (sunset - sunrise)) ** 1.6;
}

function cloudFactor(cover: number): number {
  return 1 / (1 + Math.exp(0.9 + 1.6 * cover));
}

function toCentiMegawatts(megawatts: number): CentiMegawatts {
  return Math.round(megawatts * 100);
}

/** A stationary process of mean 0 and variance 1 whose correlation falls to 1/e within `hours`. */
class SmoothNoise {
  readonly #keep: number;
  #value: number;

  constructor(
    private readonly random: Random,
    hours: number,
  ) {
    this.#keep = Math.exp(-1 / (hours * INTERVALS_PER_HOUR));
    this.#value = gaussian(random);
  }

  next(): number {
    this.#value = this.#keep * this.#value + Math.sqrt(1 - this.#keep ** 2) * gaussian(this.random);
    return this.#value;
  }
}

/** Box and Muller's transform. */
function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
