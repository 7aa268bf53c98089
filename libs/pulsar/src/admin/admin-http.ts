import type { Clock } from '@smartpulse/resilience';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { PulsarError } from '../pulsar.errors.js';
import type { PulsarTls, PulsarToken } from '../pulsar.options.js';
import { type BrokerFailureCode, brokerFailure } from '../transport/broker-failure.js';

/** Where the admin API is and how it is asked. */
export interface AdminHttpOptions {
  /** `http://host:8080`, several after commas. */
  readonly urls: readonly URL[];
  readonly token: PulsarToken | undefined;
  readonly tls: PulsarTls | undefined;
  /** How long one call may take with all its redirects, milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** One request. */
export interface AdminRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** After `/admin/v2`, encoded. */
  readonly path: string;
  readonly body?: unknown;
  /** The full topic name, where one is concerned. */
  readonly topic?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An answer of status 200 to 299. */
export interface AdminResponse {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Answer extends AdminResponse {
  readonly status: number;
}

const MAX_REDIRECTS = 5;
const MAX_BODY_BYTES = 67_108_864;
/** No connection was made, so nothing was asked: the next address may be. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/**
 * The admin API over HTTP. Not by `fetch`: that trusts no authority of one's own and takes the token off when a broker sends the request on to the
 * owner of a topic.
 */
export class AdminHttp {
  readonly #options: AdminHttpOptions;
  #current = 0;

  constructor(options: AdminHttpOptions) {
    this.#options = options;
  }

  /** @throws PulsarError by status, or when nobody answers in time. */
  async send(request: AdminRequest): Promise<AdminResponse> {
    const { clock, timeoutMs } = this.#options;
    const late = new AbortController();
    const timer = clock.setTimer(timeoutMs, () => late.abort());
    const signal = request.signal === undefined ? late.signal : AbortSignal.any([late.signal, request.signal]);
    try {
      const answer = await this.#anyAddress(request, signal);
      if (answer.status < 200 || answer.status > 299) {
        throw refused(request, answer);
      }
      return answer;
    } catch (error) {
      throw PulsarError.is(error) ? error : this.#unanswered(request, error, late.signal.aborted);
    } finally {
      timer.cancel();
    }
  }

  /** The answer as JSON; `undefined` when it is empty. */
  async json(request: AdminRequest): Promise<unknown> {
    const { body } = await this.send(request);
    const text = body.toString('utf8');
    try {
      return text === '' ? undefined : (JSON.parse(text) as unknown);
    } catch (cause) {
      throw brokerFailure('SMARTPULSE_PULSAR_BROKER', `${told(request)} was answered with what is no JSON.`, {
        topic: request.topic,
        cause,
      });
    }
  }

  async #anyAddress(request: AdminRequest, signal: AbortSignal): Promise<Answer> {
    const { urls } = this.#options;
    for (let tried = 1; ; tried++) {
      const base = urls[this.#current % urls.length];
      if (base === undefined) {
        throw new TypeError('There is no address.');
      }
      try {
        // oxlint-disable-next-line no-await-in-loop -- one address after the other
        return await this.#followed(
          new URL(`${base.href.replace(/\/+$/, '')}/admin/v2${request.path}`),
          request,
          signal,
        );
      } catch (error) {
        if (tried >= urls.length || !NOT_CONNECTED.has(codeOf(error)) || signal.aborted) {
          throw error;
        }
        this.#current++;
      }
    }
  }

  /** Brokers send a request on to the one that owns the topic; method, body and token go along. */
  async #followed(url: URL, request: AdminRequest, signal: AbortSignal): Promise<Answer> {
    let target = url;
    for (let redirects = 0; ; redirects++) {
      // oxlint-disable-next-line no-await-in-loop -- from one broker to the next
      const answer = await this.#once(target, request, signal);
      const { location } = answer.headers;
      if (answer.status < 301 || answer.status > 308 || location === undefined || redirects >= MAX_REDIRECTS) {
        return answer;
      }
      const next = new URL(location, target);
      if (next.protocol !== target.protocol) {
        // A token must not leave an encrypted connection.
        return answer;
      }
      target = next;
    }
  }

  async #once(url: URL, request: AdminRequest, signal: AbortSignal): Promise<Answer> {
    const { token, tls } = this.#options;
    const bearer = typeof token === 'function' ? await token() : token;
    signal.throwIfAborted();
    const content = request.body === undefined ? undefined : JSON.stringify(request.body);
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const outgoing = send(
        url,
        {
          method: request.method,
          signal,
          // Calls are rare: no connection is kept that would outlive the app.
          agent: false,
          ...(url.protocol === 'https:' ? tls : {}),
          headers: {
            accept: 'application/json, application/octet-stream',
            ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
            ...(content === undefined ? {} : { 'content-type': 'application/json' }),
          },
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          let bytes = 0;
          incoming.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            chunks.push(chunk);
            if (bytes > MAX_BODY_BYTES) {
              incoming.destroy(new RangeError(`The answer is above ${MAX_BODY_BYTES} bytes.`));
            }
          });
          incoming.on('error', reject);
          incoming.on('end', () =>
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
          );
        },
      );
      outgoing.on('error', reject);
      outgoing.end(content);
    });
  }

  #unanswered(request: AdminRequest, cause: unknown, late: boolean): PulsarError {
    const { topic, signal } = request;
    const ambiguous = request.method !== 'GET' && !NOT_CONNECTED.has(codeOf(cause));
    if (late) {
      const problem = `${told(request)} was not answered within ${this.#options.timeoutMs} ms.`;
      return brokerFailure('SMARTPULSE_PULSAR_TIMEOUT', problem, { topic, ambiguous, cause });
    }
    if (signal?.aborted === true) {
      return new PulsarError('SMARTPULSE_PULSAR_ABORTED', `${told(request)} was given up by its caller.`, {
        kind: 'transient',
        remedy: 'Call again when there is time.',
        ambiguous,
        topic,
        cause,
      });
    }
    const problem = `${told(request)} failed: the admin API cannot be reached (${codeOf(cause)}).`;
    return brokerFailure('SMARTPULSE_PULSAR_CONNECTION', problem, { topic, ambiguous, cause });
  }
}

const CODE_OF_STATUS: Readonly<Record<number, BrokerFailureCode | undefined>> = Object.freeze({
  401: 'SMARTPULSE_PULSAR_AUTHENTICATION',
  403: 'SMARTPULSE_PULSAR_AUTHORIZATION',
  404: 'SMARTPULSE_PULSAR_NOT_FOUND',
  409: 'SMARTPULSE_PULSAR_CONFLICT',
  429: 'SMARTPULSE_PULSAR_BROKER',
});

/** What Pulsar 4.2 says with 401 to a token that it knows and that may not. */
const KNOWN_BUT_REFUSED = /super-?user|not (?:authorized|permitted|allowed)/i;

/** What it says with 412 while its load manager starts, or while a topic moves to another broker. */
const OWNED_BY_NOBODY = /find owner(?:ship)? for/i;

function refused(request: AdminRequest, { status, body }: Answer): PulsarError {
  const reason = reasonIn(body);
  const code = codeOfRefusal(status, reason);
  return brokerFailure(code, `${told(request)} was answered with ${status}${reason}.`, {
    topic: request.topic,
    ambiguous: request.method !== 'GET' && status >= 500,
  });
}

function codeOfRefusal(status: number, reason: string): BrokerFailureCode {
  if (status === 401 && KNOWN_BUT_REFUSED.test(reason)) {
    return 'SMARTPULSE_PULSAR_AUTHORIZATION';
  }
  if (status === 412 && OWNED_BY_NOBODY.test(reason)) {
    return 'SMARTPULSE_PULSAR_BROKER';
  }
  return (
    CODE_OF_STATUS[status] ??
    (status >= 400 && status < 500 ? 'SMARTPULSE_PULSAR_NOT_ALLOWED' : 'SMARTPULSE_PULSAR_BROKER')
  );
}

function told({ method, path }: AdminRequest): string {
  return `${method} ${path}`;
}

/** Brokers answer `{"reason": …}`, or a page, which says nothing more than its status. */
function reasonIn(body: Buffer): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    return '';
  }
  return typeof parsed === 'object' && parsed !== null && 'reason' in parsed && typeof parsed.reason === 'string'
    ? `: ${parsed.reason.slice(0, 500).replace(/\.+$/, '')}`
    : '';
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError) {
    // Every address of a host name was tried.
    return codeOf(error.errors[0]);
  }
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
}
