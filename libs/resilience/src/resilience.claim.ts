import { ConfigurationError } from './resilience.errors.js';

/** Sees to it that `ResilienceModule.forRoot` is called once in an app. */
export class ForRootClaim {
  #claimed = false;

  /** @throws {@link ConfigurationError} the second time. */
  take(): void {
    if (this.#claimed) {
      throw new ConfigurationError(
        'ResilienceModule.forRoot',
        [{ option: '', problem: 'it is called more than once in this app' }],
        'Call it once, in the root module; everything it provides is global.',
      );
    }
    this.#claimed = true;
  }
}
