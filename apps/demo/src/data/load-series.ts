import { readFile } from 'node:fs/promises';
import { type Random } from '@smartpulse/resilience';
import { generateSeries } from './generate-series.js';
import { readSeries } from './read-series.js';
import { type RegionSeries } from './series.js';

/**
 * The data to show: that of a file where one is named, generated otherwise.
 *
 * @throws SeriesFormatError naming the line, or the system's error when the file cannot be read.
 */
export async function loadSeries(file: string | undefined, random: Random): Promise<readonly RegionSeries[]> {
  return file === undefined ? generateSeries(random) : readSeries(await readFile(file, 'utf8'));
}
