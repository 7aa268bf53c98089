/** What is known of a message that was given back. */
export interface RememberedAttempts {
  readonly attempts: number;
  /** Wall time of the first run that failed. */
  readonly firstFailureMs: number | undefined;
  /** Why the last run failed. */
  readonly error: Error | undefined;
  /** The dead letter is stored, only what follows it failed. */
  readonly deadLetterStored: boolean;
}

const MAX_REMEMBERED = 10_000;

/**
 * Attempts of messages that were given back to the broker, so that `maxAttempts` holds over redeliveries within this process. The oldest
 * are forgotten beyond 10,000; their messages then begin anew.
 */
export class AttemptMemory {
  readonly #remembered = new Map<string, RememberedAttempts>();

  get isEmpty(): boolean {
    return this.#remembered.size === 0;
  }

  take(messageId: string): RememberedAttempts | undefined {
    const known = this.#remembered.get(messageId);
    this.#remembered.delete(messageId);
    return known;
  }

  keep(messageId: string, attempts: RememberedAttempts): void {
    this.#remembered.delete(messageId);
    this.#remembered.set(messageId, attempts);
    if (this.#remembered.size > MAX_REMEMBERED) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest);
        break;
      }
    }
  }
}
