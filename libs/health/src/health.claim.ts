import { ConfigurationError } from '@smartpulse/resilience';

/** Sees to it that `HealthModule.forRoot` is called once in an app. */
export class HealthForRootClaim {
  #claimed = false;

  /** @throws ConfigurationError the second time. */
  take(): void {
    if (this.#claimed) {
      throw new ConfigurationError(
        'HealthModule.forRoot',
        [{ option: '', problem: 'it is called more than once in this app' }],
        'Call it once, in the root module; it finds the probes of all modules.',
      );
    }
    this.#claimed = true;
  }
}
