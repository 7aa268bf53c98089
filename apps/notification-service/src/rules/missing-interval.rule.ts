import { type ForecastComputed } from '@smartpulse/production-forecast-contract';
import { type NotificationDraft } from './notification-draft.js';
import { type ResolvedRuleOptions } from './rule.options.js';

/**
 * A computed range has a hole. The stamp is the hole itself, so the same hole is told once however often the series is computed again
 * around it, and another one is told anew.
 */
export function missingIntervalNotification(
  event: ForecastComputed,
  options: Pick<ResolvedRuleOptions, 'missingMinutes'>,
): NotificationDraft | undefined {
  const first = event.gaps[0];
  if (first === undefined || event.missingMinutes < options.missingMinutes) {
    return undefined;
  }
  const holes = event.gaps.map((gap) => `${gap.from}/${gap.to}`);
  return {
    rule: 'interval-missing',
    key: `${event.provider}/${event.unitType}/${event.unitNo}/${first.from}`,
    stamp: `${first.to}/${event.missingMinutes}`,
    title: `${event.provider} of ${event.unitType} ${event.unitNo} has a hole`,
    description:
      `${event.missingMinutes} minutes are missing between ${event.from} and ${event.to}: ` +
      `${holes.slice(0, 3).join(', ')}${holes.length > 3 ? ', and more' : ''}.`,
  };
}
