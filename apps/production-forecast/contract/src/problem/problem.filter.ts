import { type ProblemResponse, sendProblem } from './problem-details.js';

/** What Nest hands to a filter, as far as it is needed. */
export interface ProblemHost {
  getType(): string;
  switchToHttp(): { getResponse(): ProblemResponse };
}

/** Where failures of the app itself are told; Nest's `Logger` fits. */
export interface ProblemLog {
  error(message: string, stack?: string): void;
}

/**
 * Answers every failed HTTP request with problem details (RFC 9457); message handlers keep their own way to fail. An exception filter of
 * Nest without a dependency on it, so that a contract package stays light; without `@Catch` it catches everything.
 *
 * @example
 * ```ts
 * app.useGlobalFilters(new ProblemFilter(new Logger('Http')));
 * ```
 */
export class ProblemFilter {
  readonly #log: ProblemLog;

  constructor(log: ProblemLog) {
    this.#log = log;
  }

  /** @throws `error` itself when it is not of an HTTP request. */
  catch(error: unknown, host: ProblemHost): void {
    if (host.getType() !== 'http') {
      throw error;
    }
    const problem = sendProblem(error, host.switchToHttp().getResponse());
    if (problem.status >= 500 && problem.type === 'about:blank') {
      this.#log.error(`A request failed with ${problem.status}`, error instanceof Error ? error.stack : String(error));
    }
  }
}
