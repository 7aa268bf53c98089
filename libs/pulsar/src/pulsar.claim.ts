import { ConfigurationError } from '@smartpulse/resilience';

/** Sees to it that `PulsarModule.forRoot` is called once in an app. */
export class PulsarClaim {
  #claimed = false;

  /** @throws ConfigurationError the second time. */
  take(): void {
    if (this.#claimed) {
      throw new ConfigurationError(
        'PulsarModule.forRoot',
        [{ option: '', problem: 'it is called more than once in this app' }],
        'Call it once, in the root module; everything it provides is global.',
      );
    }
    this.#claimed = true;
  }
}
