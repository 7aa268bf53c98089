import { type ForecastRow } from '@smartpulse/production-forecast-contract';
import { type NotificationDraft } from './notification-draft.js';
import { type ResolvedRuleOptions } from './rule.options.js';

/** A delivery whose value is known from before and now another. */
export interface Correction {
  readonly row: ForecastRow;
  /** Hundredths of a megawatt. */
  readonly previousHundredths: number;
  /** The change's stamp as text that sorts like the stamp. */
  readonly stamp: string;
}

/** Whether the change reaches both thresholds: large plants vary by megawatts, small ones by shares. */
export function isBeyondThreshold(
  { row, previousHundredths }: Pick<Correction, 'row' | 'previousHundredths'>,
  options: Pick<ResolvedRuleOptions, 'correctionMegawatts' | 'correctionShare'>,
): boolean {
  const change = Math.abs(row.valueHundredths - previousHundredths);
  const larger = Math.max(row.valueHundredths, previousHundredths);
  return change > 0 && change >= options.correctionMegawatts * 100 && change >= options.correctionShare * larger;
}

/**
 * One notification for all corrections of one hand-over: a corrected day is one thing to say, not 96.
 *
 * Its key is the first corrected delivery, because the changes of one stamp may be handed over in two parts; those share a stamp and have no
 * delivery in common.
 *
 * @param corrections of one series, in order of delivery.
 */
export function correctionNotification(corrections: readonly Correction[]): NotificationDraft | undefined {
  const first = corrections[0];
  if (first === undefined) {
    return undefined;
  }
  const largest = corrections.reduce((a, b) => (changeOf(b) > changeOf(a) ? b : a));
  const newest = corrections.reduce((a, b) => (b.stamp > a.stamp ? b : a));
  const { provider, unitType, unitNo } = first.row;
  const count = corrections.length === 1 ? 'One delivery' : `${corrections.length} deliveries`;
  return {
    rule: 'forecast-corrected',
    key: `${provider}/${unitType}/${unitNo}/${first.row.deliveryStart}`,
    stamp: newest.stamp,
    title: `${provider} of ${unitType} ${unitNo} corrected`,
    description:
      `${count} corrected beyond the threshold, from ${first.row.deliveryStart}. Largest change at ${largest.row.deliveryStart}: ` +
      `${megawatts(largest.previousHundredths)} to ${megawatts(largest.row.valueHundredths)} MW.`,
  };
}

function changeOf({ row, previousHundredths }: Correction): number {
  return Math.abs(row.valueHundredths - previousHundredths);
}

function megawatts(hundredths: number): string {
  return (hundredths / 100).toFixed(2);
}
