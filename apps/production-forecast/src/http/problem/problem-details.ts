import { HttpException } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';

/** One thing that is wrong in a request. */
export interface ProblemField {
  /** JSON pointer into the body (`#/forecasts/3/value`), or the name of the parameter or header. */
  readonly pointer: string;
  /** Stable: `LowerLimit`, `DuplicateDeliveries`, … */
  readonly code: string;
  /** What is expected. */
  readonly detail: string;
}

/** An error body (RFC 9457): the one format in which this app refuses a request. */
export interface ProblemDetails {
  /** `urn:smartpulse:problem:<code>`, or `about:blank` where the status says it all. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string | undefined;
  /** What is wrong with the request, at most {@link MAX_PROBLEM_FIELDS} entries. */
  readonly errors?: readonly ProblemField[] | undefined;
}

/** The media type of {@link ProblemDetails}. */
export const PROBLEM_JSON = 'application/problem+json';

/** A request with thousands of wrong items is told about the first ones only. */
export const MAX_PROBLEM_FIELDS = 50;

/** A request is refused: carries the whole answer. */
export class RequestRefusedError extends HttpException {
  readonly problem: ProblemDetails;

  /** @param code becomes the problem's type. */
  constructor(status: number, code: string, detail: string, errors?: readonly ProblemField[]) {
    const problem: ProblemDetails = {
      type: `urn:smartpulse:problem:${code}`,
      title: titleOf(status),
      status,
      detail,
      ...(errors === undefined ? {} : { errors: errors.slice(0, MAX_PROBLEM_FIELDS) }),
    };
    super(problem, status);
    this.message = detail;
    this.problem = problem;
  }
}

/**
 * What the client is told about `error`: the problem that it carries; else status and text of an exception that was made for the client, by
 * Nest or by Express' body parser; anything else is a 500 whose cause stays inside, also when it happens to have a status of its own.
 */
export function problemOf(error: unknown): ProblemDetails {
  if (error instanceof RequestRefusedError) {
    return error.problem;
  }
  const status = statusOf(error);
  const problem = { type: 'about:blank', title: titleOf(status), status };
  return status < 500 && error instanceof Error ? { ...problem, detail: error.message } : problem;
}

/** The status phrase of RFC 9110; Node still has an older one for 413. */
function titleOf(status: number): string {
  return status === 413 ? 'Content Too Large' : (STATUS_CODES[status] ?? 'Request refused');
}

function statusOf(error: unknown): number {
  if (error instanceof HttpException) {
    return error.getStatus();
  }
  // `expose` is how the body parser's errors say that they are for the client.
  const forClient = error instanceof Error && 'expose' in error && error.expose === true && 'status' in error;
  return forClient && typeof error.status === 'number' ? error.status : 500;
}
