import { type CentiMegawatts, INTERVAL_MS, type RegionSeries, type SeriesInterval } from './series.js';

const HEADER = 'zone,technology,interval_start,forecast_mw,actual_mw';
const OFFSET_INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})$/;
const MEGAWATTS = /^\d+(?:\.\d{1,2})?$/;

/** A data file does not have the documented format; the message names the line and what was expected. */
export class SeriesFormatError extends Error {
  constructor(line: number, problem: string) {
    super(
      `Line ${line}: ${problem}. The format is "${HEADER}", one row per zone, technology and quarter of an hour, in order of time, ` +
        'the begin as ISO 8601 with an offset, power in megawatts with at most two decimals.',
    );
    this.name = 'SeriesFormatError';
  }
}

/**
 * Reads a month of several regions from the text of a CSV file.
 *
 * @throws {@link SeriesFormatError} at the first row that does not fit: nothing is guessed or skipped.
 */
export function readSeries(text: string): readonly RegionSeries[] {
  const [header, ...lines] = text.split(/\r?\n/);
  if (header?.trim() !== HEADER) {
    throw new SeriesFormatError(1, 'unexpected header');
  }
  const regions = new Map<string, { zone: string; technology: string; intervals: SeriesInterval[] }>();
  lines.forEach((line, index) => {
    if (line === '') {
      return;
    }
    const number = index + 2;
    const { zone, technology, interval } = readLine(line, number);
    const name = `${zone} ${technology}`;
    const region = regions.get(name) ?? { zone, technology, intervals: [] };
    const previous = region.intervals.at(-1);
    if (previous !== undefined && interval.startMs !== previous.startMs + INTERVAL_MS) {
      throw new SeriesFormatError(number, `${name} does not continue 15 minutes after its previous row`);
    }
    region.intervals.push(interval);
    regions.set(name, region);
  });
  if (regions.size === 0) {
    throw new SeriesFormatError(2, 'no rows');
  }
  return [...regions.values()];
}

function readLine(line: string, number: number): { zone: string; technology: string; interval: SeriesInterval } {
  const columns = line.split(',');
  const [zone, technology, start, forecast, actual] = columns;
  if (
    columns.length !== 5 ||
    !zone ||
    !technology ||
    start === undefined ||
    forecast === undefined ||
    actual === undefined
  ) {
    throw new SeriesFormatError(number, `expected 5 columns, found ${columns.length}`);
  }
  if (!OFFSET_INSTANT.test(start) || Number.isNaN(Date.parse(start))) {
    throw new SeriesFormatError(number, 'interval_start is not an instant with an offset');
  }
  const startMs = Date.parse(start);
  if (startMs % INTERVAL_MS !== 0) {
    throw new SeriesFormatError(number, 'interval_start is not aligned to a quarter of an hour');
  }
  return {
    zone,
    technology,
    interval: {
      startMs,
      forecast: readPower(forecast, 'forecast_mw', number),
      actual: readPower(actual, 'actual_mw', number),
    },
  };
}

function readPower(text: string, column: string, number: number): CentiMegawatts {
  if (!MEGAWATTS.test(text)) {
    throw new SeriesFormatError(number, `${column} is not a power`);
  }
  const [whole = '0', fraction = ''] = text.split('.');
  return Number(whole) * 100 + Number(fraction.padEnd(2, '0'));
}
