import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import { type Response } from 'express';
import { PROBLEM_JSON, problemOf } from './problem-details.js';

/** A queue that is full, or an app that restarts, is ready again within seconds. */
const RETRY_AFTER_SECONDS = '5';

/** Answers every failed HTTP request with problem details (RFC 9457); message handlers keep their own way to fail. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger(ProblemFilter.name);

  /** @throws `error` itself when it is not of an HTTP request. */
  catch(error: unknown, host: ArgumentsHost): void {
    if (host.getType() !== 'http') {
      throw error;
    }
    const problem = problemOf(error);
    if (problem.status === 500) {
      this.#logger.error('A request failed', error instanceof Error ? error.stack : String(error));
    }
    const response = host.switchToHttp().getResponse<Response>();
    if (response.headersSent) {
      // Half an answer cannot become another one: it is cut, so that nobody takes it for whole.
      response.destroy();
      return;
    }
    response.status(problem.status);
    response.setHeader('Content-Type', PROBLEM_JSON);
    response.setHeader('Cache-Control', 'no-store');
    if (problem.status === 503) {
      response.setHeader('Retry-After', RETRY_AFTER_SECONDS);
    }
    response.end(JSON.stringify(problem));
  }
}
