/** One thing that is wrong in a request. */
export interface ProblemField {
  /** JSON pointer into the body (`#/forecasts/3/value`), or the parameter's name. */
  readonly pointer: string;
  /** Stable: `LowerLimit`, `DuplicateDeliveries`, … */
  readonly code: string;
  /** What is expected. */
  readonly detail: string;
}

/** An error body (RFC 9457): the one format in which these apps refuse a request. */
export interface ProblemDetails {
  /** `urn:smartpulse:problem:<code>`, or `about:blank` where the status says it all. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string | undefined;
  /** Everything that is wrong with the request, at most {@link MAX_PROBLEM_FIELDS} entries. */
  readonly errors?: readonly ProblemField[] | undefined;
}

/** The media type of {@link ProblemDetails}. */
export const PROBLEM_JSON = 'application/problem+json';

/** A request with thousands of wrong items is told about the first ones only. */
export const MAX_PROBLEM_FIELDS = 50;

/** A request is refused: carries the whole answer. */
export class RequestRefusedError extends Error {
  readonly problem: ProblemDetails;

  /** @param code becomes the problem's type. */
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    errors?: readonly ProblemField[],
  ) {
    super(detail);
    this.name = 'RequestRefusedError';
    this.problem = {
      type: `urn:smartpulse:problem:${code}`,
      title: titleOf(status),
      status,
      detail,
      ...(errors === undefined ? {} : { errors: errors.slice(0, MAX_PROBLEM_FIELDS) }),
    };
  }
}

/** What Express' response offers and {@link sendProblem} needs. */
export interface ProblemResponse {
  readonly headersSent: boolean;
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body?: string): unknown;
}

/**
 * What the client is told about `error`: the problem that it carries, else what its HTTP status says; anything without a status is a 500
 * whose cause stays inside.
 */
export function problemOf(error: unknown): ProblemDetails {
  if (error instanceof RequestRefusedError) {
    return error.problem;
  }
  const status = statusOf(error);
  if (status >= 500 || !(error instanceof Error)) {
    return { type: 'about:blank', title: titleOf(status), status };
  }
  return { type: 'about:blank', title: titleOf(status), status, detail: error.message };
}

/** Answers a request with {@link problemOf}, and returns it for the log. Does nothing to an answer that has begun. */
export function sendProblem(error: unknown, response: ProblemResponse): ProblemDetails {
  const problem = problemOf(error);
  if (response.headersSent) {
    response.end();
    return problem;
  }
  response.statusCode = problem.status;
  response.setHeader('Content-Type', PROBLEM_JSON);
  response.setHeader('Cache-Control', 'no-store');
  response.end(JSON.stringify(problem));
  return problem;
}

const TITLES: Readonly<Record<number, string>> = Object.freeze({
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
});

function titleOf(status: number): string {
  return TITLES[status] ?? (status < 500 ? 'Request refused' : 'Internal Server Error');
}

/** Nest's exceptions and those of Express' body parser both say a status; only real error statuses count. */
function statusOf(error: unknown): number {
  if (typeof error !== 'object' || error === null) {
    return 500;
  }
  const told =
    'getStatus' in error && typeof error.getStatus === 'function'
      ? (error.getStatus() as unknown)
      : 'status' in error
        ? error.status
        : 500;
  return typeof told === 'number' && Number.isInteger(told) && told >= 400 && told <= 599 ? told : 500;
}
