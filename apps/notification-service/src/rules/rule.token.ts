/** Injection token of the resolved rule options. */
export const RULE_OPTIONS = Symbol('notification-service:rule-options');
