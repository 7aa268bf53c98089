import { readFile } from 'node:fs/promises';
import { ConfigurationError, type Random } from '@smartpulse/resilience';
import { generateSeries } from './generate-series.js';
import { readSeries, SeriesFormatError } from './read-series.js';
import { type RegionSeries } from './series.js';

/**
 * The data to show: that of a file where one is named, generated otherwise.
 *
 * @throws ConfigurationError when the file cannot be read, or does not have the documented format: it names the line.
 */
export async function loadSeries(file: string | undefined, random: Random): Promise<readonly RegionSeries[]> {
  if (file === undefined) {
    return generateSeries(random);
  }
  try {
    return readSeries(await readFile(file, 'utf8'));
  } catch (error) {
    if (!(error instanceof Error)) {
      throw error;
    }
    const problem = error instanceof SeriesFormatError ? error.message : `the file cannot be read (${error.message})`;
    throw new ConfigurationError(
      'The environment',
      [{ option: 'DEMO_DATA', problem }],
      'Name another file, or none for generated data.',
    );
  }
}
