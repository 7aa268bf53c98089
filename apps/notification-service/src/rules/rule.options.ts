import { z } from 'zod';

/** When rules speak. */
export interface RuleOptions {
  /** A correction is told from this change on, in megawatts. Default 5. Both thresholds must be reached. */
  readonly correctionMegawatts?: number | undefined;
  /** A correction is told from this share of the larger of both values on, 0 to 1. Default 0.2. */
  readonly correctionShare?: number | undefined;
  /** Providers whose corrections are told. Default: the forecasting ones; a corrected measurement is no correction of a forecast. */
  readonly correctionProviders?: readonly string[] | undefined;
  /** A hole is told from this length on, in minutes. Default 5, the shortest period. */
  readonly missingMinutes?: number | undefined;
}

/** {@link RuleOptions} with every value filled in. */
export type ResolvedRuleOptions = { readonly [Option in keyof RuleOptions]-?: Exclude<RuleOptions[Option], undefined> };

/** The defaults of {@link RuleOptions}. */
export const RULE_DEFAULTS: ResolvedRuleOptions = Object.freeze({
  correctionMegawatts: 5,
  correctionShare: 0.2,
  correctionProviders: Object.freeze(['FinalForecast', 'UserForecast', 'ForecastImport']),
  missingMinutes: 5,
});

/** Checks {@link RuleOptions} and fills the defaults in. */
export const ruleOptionsSchema = z.strictObject({
  correctionMegawatts: z
    .number('expected megawatts, 0 or more')
    .min(0, 'expected megawatts, 0 or more')
    .default(RULE_DEFAULTS.correctionMegawatts),
  correctionShare: z
    .number('expected a share from 0 to 1')
    .min(0, 'expected a share from 0 to 1')
    .max(1, 'expected a share from 0 to 1')
    .default(RULE_DEFAULTS.correctionShare),
  correctionProviders: z
    .array(z.string('expected a provider'), 'expected a list of providers')
    .default([...RULE_DEFAULTS.correctionProviders]),
  missingMinutes: z
    .number('expected minutes, 1 or more')
    .min(1, 'expected minutes, 1 or more')
    .default(RULE_DEFAULTS.missingMinutes),
});
