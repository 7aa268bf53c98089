const ATTEMPTS = Symbol.for('smartpulse.resilience.attempts');

/** Notes on an error how many runs its call has made. An error that takes no properties is left as it is. */
export function noteAttempts(error: unknown, attempts: number): void {
  if (typeof error === 'object' && error !== null) {
    Reflect.defineProperty(error, ATTEMPTS, { value: attempts, configurable: true, writable: true });
  }
}

/**
 * How often the work had been run when a policy gave up with this error; `undefined` when no policy has thrown it.
 *
 * @example
 * ```ts
 * catch (error) { logger.warn(`gave up after ${attemptsOf(error)} attempts`); throw error; }
 * ```
 */
export function attemptsOf(error: unknown): number | undefined {
  const attempts: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, ATTEMPTS) : undefined;
  return typeof attempts === 'number' ? attempts : undefined;
}
