import { SmartPulseError } from '@smartpulse/resilience';

/** Two probes of one app have the same name: one result would hide the other. */
export class DuplicateProbeError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_DUPLICATE_PROBE';
  readonly code = DuplicateProbeError.code;

  /**
   * @param probe the name that is there twice.
   * @param owners the classes that have it.
   */
  constructor(
    readonly probe: string,
    readonly owners: readonly string[],
  ) {
    super(`More than one health probe is named "${probe}": ${owners.join(', ')}.`, {
      remedy: 'Give each its own name, or provide it once and export it.',
    });
  }

  static is(error: unknown): error is DuplicateProbeError {
    return SmartPulseError.hasCode(error, DuplicateProbeError.code);
  }
}
