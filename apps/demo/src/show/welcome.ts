import { type FeedPlan } from '../feed/feed-plan.js';

/** What is printed first: where to look, and three lines to try. */
export function welcome(forecastUrl: string, notificationUrl: string, plan: FeedPlan): string {
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const from = `${day(plan.fromMs)}T23:00:00Z`;
  const to = `${day(plan.fromMs + 86_400_000)}T23:00:00Z`;
  const units = plan.regions.reduce((sum, region) => sum + region.units.length, 0);
  return [
    `ProductionForecast   ${forecastUrl}/health`,
    `NotificationService  ${notificationUrl}/health`,
    `${plan.regions.map(({ region }) => `${region.zone} ${region.technology}`).join(', ')}: ${units} units, ${day(plan.fromMs)} to ${day(plan.toMs)}`,
    '',
    'Try:',
    `  curl -s '${forecastUrl}/api/v2.0/production-forecast/FinalForecast/PP/1/forecasts/latest?from=${from}&to=${to}&resolution=60'`,
    `  curl -s '${notificationUrl}/api/notification/notifications?limit=5'`,
    `  curl -s '${notificationUrl}/api/notification/notifications/unread-count'`,
    '',
  ].join('\n');
}
