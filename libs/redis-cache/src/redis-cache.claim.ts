import { ConfigurationError } from '@smartpulse/resilience';

/** Sees to it that `RedisCacheModule.forRoot` is called once in an app. */
export class RedisCacheClaim {
  #claimed = false;

  /** @throws ConfigurationError the second time. */
  take(): void {
    if (this.#claimed) {
      throw new ConfigurationError(
        'RedisCacheModule.forRoot',
        [{ option: '', problem: 'it is called more than once in this app' }],
        'Call it once, in the root module; modules that need a cache call forFeature.',
      );
    }
    this.#claimed = true;
  }
}
