import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import { type Response } from 'express';
import { STATUS_CODES } from 'node:http';
import { InvalidRequestError } from './invalid-request.error.js';

/** Answers every failed HTTP request with problem details (RFC 9457); message handlers keep their own way to fail. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger(ProblemFilter.name);

  /** @throws `error` itself when it is not of an HTTP request. */
  catch(error: unknown, host: ArgumentsHost): void {
    if (host.getType() !== 'http') {
      throw error;
    }
    const status = statusOf(error);
    if (status === 500) {
      this.#logger.error('A request failed', error instanceof Error ? error.stack : String(error));
    }
    const response = host.switchToHttp().getResponse<Response>();
    response.status(status);
    response.setHeader('Content-Type', 'application/problem+json');
    response.setHeader('Cache-Control', 'no-store');
    response.end(
      JSON.stringify({
        type: error instanceof InvalidRequestError ? 'urn:smartpulse:problem:invalid-request' : 'about:blank',
        // The status phrase of RFC 9110; Node still has an older one for 413.
        title: status === 413 ? 'Content Too Large' : STATUS_CODES[status],
        status,
        ...(status < 500 && error instanceof Error ? { detail: error.message } : {}),
        ...(error instanceof InvalidRequestError ? { errors: error.errors } : {}),
      }),
    );
  }
}

/** Exceptions made for the client, by Nest or by Express' body parser, say what they are; everything else stays inside. */
function statusOf(error: unknown): number {
  if (error instanceof HttpException) {
    return error.getStatus();
  }
  const forClient = error instanceof Error && 'expose' in error && error.expose === true && 'status' in error;
  return forClient && typeof error.status === 'number' ? error.status : 500;
}
