import { Logger } from '@nestjs/common';
import { SqlServerStatementError } from '../sql-server.errors.js';

/** Pages that are read with the hint before one is tried without again; twice as many after each relapse. */
const FIRST_TRIAL_PAGES = 8;
const LONGEST_TRIAL_PAGES = 1_024;

/** How a table is read that had a page which took too long. A table without one is read without the hint. */
interface Trial {
  readonly hinted: boolean;
  readonly pagesLeft: number;
  readonly pages: number;
}

/**
 * Which pages are read with FORCESEEK. The server plans the reading of a side table by its statistics, which a burst of changes leaves behind:
 * then it scans where it should seek, and does so until it plans anew. The hint makes another text, which has a plan of its own. By `auto`
 * a page that took too long is read the other way the next time. With the hint it is for some pages, then one is tried without.
 */
export class SeekHints {
  readonly #logger = new Logger(SeekHints.name);
  readonly #mode: 'auto' | boolean;
  readonly #trials = new Map<string, Trial>();
  #refused = false;

  /** @param mode `true` and `false`: always and never. */
  constructor(mode: 'auto' | boolean) {
    this.#mode = mode;
  }

  /** Reads a page of a table, with the hint or without; at once again without it where the server does not take it. */
  async read<T>(table: string, send: (forceSeek: boolean) => Promise<T>): Promise<T> {
    if (this.#mode !== 'auto' || this.#refused) {
      return send(this.#mode === true);
    }
    const hinted = this.#trials.get(table)?.hinted === true;
    try {
      const page = await send(hinted);
      this.#cameInTime(table);
      return page;
    } catch (error) {
      if (SqlServerStatementError.is(error) && error.failure.class === 'timeout') {
        this.#tookTooLong(table);
      }
      if (!hinted || !isRefusal(error)) {
        throw error;
      }
    }
    const page = await send(false);
    // Without it, it goes: so the hint it was.
    this.#refused = true;
    this.#trials.clear();
    this.#logger.warn(`The server does not take FORCESEEK: pages of "${table}" that take too long get smaller only.`);
    return page;
  }

  #cameInTime(table: string): void {
    const trial = this.#trials.get(table);
    if (trial === undefined) {
      return;
    }
    const pagesLeft = trial.pagesLeft - 1;
    if (pagesLeft > 0) {
      this.#trials.set(table, { ...trial, pagesLeft });
    } else if (trial.hinted) {
      this.#trials.set(table, { ...trial, hinted: false, pagesLeft: trial.pages });
    } else {
      this.#trials.delete(table);
    }
  }

  #tookTooLong(table: string): void {
    const trial = this.#trials.get(table);
    if (trial?.hinted === true) {
      // It is no help here.
      this.#trials.set(table, { ...trial, hinted: false, pagesLeft: trial.pages });
      return;
    }
    const pages = trial === undefined ? FIRST_TRIAL_PAGES : Math.min(trial.pages * 2, LONGEST_TRIAL_PAGES);
    this.#trials.set(table, { hinted: true, pagesLeft: pages, pages });
  }
}

/** A server that is too old for it answers with a syntax error, one that finds no plan with it with 8622. */
const REFUSALS: readonly (number | null)[] = [102, 8622];

function isRefusal(error: unknown): boolean {
  return SqlServerStatementError.is(error) && REFUSALS.includes(error.failure.number);
}
