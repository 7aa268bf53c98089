import type { Logger } from '@nestjs/common';

/** Shares of the time that changes are kept, each with how loudly a reader that is so late is told of. */
const THRESHOLDS = [
  { share: 0.8, level: 'error' },
  { share: 0.5, level: 'warn' },
] as const;

/**
 * Tells of a reader that comes near the end of what is kept: behind it the table is read anew. Once per threshold, and again after it had
 * caught up.
 */
export class RetentionWatch {
  readonly #logger: Pick<Logger, 'warn' | 'error'>;
  #told = 0;

  constructor(logger: Pick<Logger, 'warn' | 'error'>) {
    this.#logger = logger;
  }

  /** @param used share of the retention since the reader was up to date; `null` = unknown, or never yet. */
  see(used: number | null): void {
    const crossed = THRESHOLDS.find(({ share }) => (used ?? 0) >= share);
    if (crossed !== undefined && crossed.share > this.#told) {
      this.#logger[crossed.level](
        `It was up to date last ${Math.round((used ?? 0) * 100)} % of the retention ago; at 100 % the table is read anew.`,
      );
    }
    this.#told = crossed?.share ?? 0;
  }
}
