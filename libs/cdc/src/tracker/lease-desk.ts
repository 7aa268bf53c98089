import type { Logger } from '@nestjs/common';
import type { Lease, Leadership } from '../leadership/leadership.js';
import { untilAborted } from './until-aborted.js';

/** Takes and gives back the lease of one resource. */
export class LeaseDesk {
  readonly #leadership: Leadership;
  readonly #resource: string;
  readonly #logger: Logger;

  constructor(leadership: Leadership, resource: string, logger: Logger) {
    this.#leadership = leadership;
    this.#resource = resource;
    this.#logger = logger;
  }

  /**
   * The lease, or nothing when another holds it now or `signal` aborted; one that is granted after that is given back unread.
   *
   * @throws what the leadership throws.
   */
  async acquire(signal: AbortSignal): Promise<Lease | undefined> {
    const asked = this.#ask();
    try {
      return await untilAborted(asked, signal);
    } catch (error) {
      if (!signal.aborted) {
        throw error;
      }
      asked.then(
        (late) => late && this.release(late),
        (late: unknown) => this.#logger.warn(`The leadership failed after the stop (${nameOf(late)}).`),
      );
      return undefined;
    }
  }

  /** Gives it back; when that fails the lease ends by itself. Never rejects. */
  async release(lease: Lease): Promise<void> {
    try {
      await lease.release();
    } catch (error) {
      this.#logger.warn(`The lease was not released (${nameOf(error)}); it ends by itself.`);
    }
  }

  /** A rejection also where the leadership throws at once. */
  async #ask(): Promise<Lease | undefined> {
    return this.#leadership.acquire(this.#resource);
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
