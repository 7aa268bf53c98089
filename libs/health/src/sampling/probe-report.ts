import type { ProbeDetails, ProbeStatus } from '@smartpulse/resilience';

/** What is known of a probe now. */
export interface ProbeReport {
  readonly name: string;
  readonly critical: boolean;
  /** After damping: `down` only when it was bad several times in a row. */
  readonly status: ProbeStatus;
  /** Its last answer is too old to be believed; it counts as `degraded`. */
  readonly unknown: boolean;
  /** What it said itself; for a throw the error's name, never its text. */
  readonly details: ProbeDetails;
}
