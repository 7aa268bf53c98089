import { writeFileSync } from 'node:fs';
import { generateSeries } from '@smartpulse/demo';
import { SeededRandom } from '@smartpulse/resilience';

/** Units of the story, whatever its data. */
export const STORY_UNITS = 50;
export const STORY_DAYS = 4;
export const ROWS_PER_DAY = 96;

/** Writes the story's data in small: a month on several runs would take minutes. */
export function writeSmallStory(file: string, days = STORY_DAYS): void {
  const rows = generateSeries(new SeededRandom(1)).flatMap(({ zone, technology, intervals }) =>
    intervals
      .slice(0, days * ROWS_PER_DAY)
      .map(({ startMs, forecast, actual }) =>
        [zone, technology, new Date(startMs).toISOString().replace('.000Z', 'Z'), forecast / 100, actual / 100].join(),
      ),
  );
  writeFileSync(file, ['zone,technology,interval_start,forecast_mw,actual_mw', ...rows, ''].join('\n'));
}
