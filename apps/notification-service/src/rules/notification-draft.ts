/** The kinds of notifications. */
export const NOTIFICATION_RULES = Object.freeze(['forecast-corrected', 'interval-missing'] as const);

/** Which rule speaks. */
export type NotificationRule = (typeof NOTIFICATION_RULES)[number];

/** What a rule wants to say. (rule, key, stamp) is said once, however often its cause is told. */
export interface NotificationDraft {
  readonly rule: NotificationRule;
  /** What it is about. */
  readonly key: string;
  /** Which state of it. */
  readonly stamp: string;
  /** One line, at most 120 characters. */
  readonly title: string;
  /** At most 400 characters. */
  readonly description: string;
}
