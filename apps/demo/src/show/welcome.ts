import { type FeedPlan, rangeOf } from '../feed/feed-plan.js';

const DAY_MS = 86_400_000;

/** What is printed first: where to look, and three lines to try. */
export function welcome(forecastUrl: string, notificationUrl: string, plan: FeedPlan): string {
  const instant = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');
  const first = plan.regions[0];
  const { fromMs } = first === undefined ? { fromMs: 0 } : rangeOf(first.region);
  const query = `from=${instant(fromMs)}&to=${instant(fromMs + DAY_MS)}&resolution=60`;
  const rows = plan.bulk.reduce((sum, { values }) => sum + values.length, 0);
  return [
    `ProductionForecast   ${forecastUrl}/health`,
    `NotificationService  ${notificationUrl}/health`,
    `Data                 ${plan.regions.map(({ region, units }) => `${region.zone} ${region.technology} (${units.length} units)`).join(', ')}: ${rows} forecasts`,
    '',
    'Try:',
    `  curl -s '${forecastUrl}/api/v2.0/production-forecast/FinalForecast/PP/1/forecasts/latest?${query}'`,
    `  curl -s '${notificationUrl}/api/notification/notifications?limit=5'`,
    `  curl -s '${notificationUrl}/api/notification/notifications/unread-count'`,
    '',
  ].join('\n');
}
