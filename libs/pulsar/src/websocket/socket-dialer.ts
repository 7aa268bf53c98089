import type { IncomingMessage as HttpResponse } from 'node:http';
import type { Clock } from '@smartpulse/resilience';
import type { ClientOptions, WebSocket } from 'ws';
import type { PulsarError } from '../pulsar.errors.js';
import type { ConnectionOptions } from '../pulsar.options.js';
import { brokerFailure } from '../transport/broker-failure.js';
import { handshakeFailure } from './handshake-failure.js';
import { LiveSocket } from './live-socket.js';
import type { Endpoint } from './websocket.endpoint.js';

/** The class of the package `ws`. */
export type WebSocketClass = new (address: string, options: ClientOptions) => WebSocket;

/** Opens one socket. */
export type Dial = (endpoint: Endpoint, timeoutMs: number, signal: AbortSignal) => Promise<LiveSocket>;

/** A message of 5 MiB makes about 7 MB of text; the limit keeps a confused peer from filling the memory. */
const MAX_RECEIVED_BYTES = 32 * 1_024 * 1_024;
const MAX_PAGE_BYTES = 65_536;

/** Opens sockets to one address, each with a token of its own. */
export class SocketDialer {
  /** @param address without a slash at its end. */
  constructor(
    private readonly webSocket: WebSocketClass,
    private readonly address: string,
    private readonly options: ConnectionOptions,
    private readonly clock: Clock,
  ) {}

  /**
   * Resolves when the handshake is done, with token and all, within the timeout.
   *
   * @throws PulsarError; the signal's reason when it is aborted.
   */
  readonly dial: Dial = (endpoint, timeoutMs, signal) =>
    new Promise<LiveSocket>((resolve, reject) => {
      let socket: WebSocket | undefined;
      let settled = false;
      const settle = (): boolean => {
        const first = !settled;
        settled = true;
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        return first;
      };
      const fail = (error: unknown): void => {
        if (settle()) {
          socket?.terminate();
          reject(error);
        }
      };
      const onAbort = (): void => fail(signal.reason);
      const timer = this.clock.setTimer(timeoutMs, () =>
        fail(
          brokerFailure('SMARTPULSE_PULSAR_TIMEOUT', `No connection to ${this.address} within ${timeoutMs} ms.`, {
            topic: endpoint.topic,
          }),
        ),
      );
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) {
        onAbort();
        return;
      }
      const begin = async (): Promise<void> => {
        const token = await this.#token(endpoint.topic);
        if (settled) {
          return;
        }
        socket = this.#connect(endpoint, token, fail, (live) => {
          if (settle()) {
            resolve(live);
          } else {
            live.terminate();
          }
        });
      };
      begin().catch(fail);
    });

  #connect(
    endpoint: Endpoint,
    token: string | undefined,
    fail: (error: PulsarError) => void,
    opened: (live: LiveSocket) => void,
  ): WebSocket {
    const { tls } = this.options;
    const socket = new this.webSocket(`${this.address}${endpoint.path}`, {
      perMessageDeflate: false,
      maxPayload: MAX_RECEIVED_BYTES,
      // A redirect would take the token along.
      followRedirects: false,
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
      ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls?.key === undefined ? {} : { key: tls.key }),
      ...(tls?.servername === undefined ? {} : { servername: tls.servername }),
    });
    let stream: HttpResponse['socket'] | undefined;
    socket.once('upgrade', (response) => {
      stream = response.socket;
    });
    socket.once('open', () => opened(new LiveSocket(socket, stream, this.clock)));
    socket.on('error', (error) => {
      fail(
        brokerFailure(
          'SMARTPULSE_PULSAR_CONNECTION',
          `No connection to ${this.address}: ${hide(error.message, token)}.`,
          {
            topic: endpoint.topic,
            cause: error,
          },
        ),
      );
    });
    socket.on('unexpected-response', (request, response) => {
      const answer = (body: string): void => {
        fail(handshakeFailure(response.statusCode ?? 0, hide(body, token), endpoint));
        request.destroy();
      };
      readPage(response, answer);
    });
    return socket;
  }

  async #token(topic: string | undefined): Promise<string | undefined> {
    const { token } = this.options;
    if (typeof token !== 'function') {
      return token;
    }
    try {
      return await token();
    } catch (error) {
      throw brokerFailure('SMARTPULSE_PULSAR_AUTHENTICATION', 'The supplier of the token failed.', {
        topic,
        // It may work the next time, which a wrong token will not.
        kind: 'transient',
        cause: error,
      });
    }
  }
}

function readPage(response: HttpResponse, done: (body: string) => void): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    if (bytes < MAX_PAGE_BYTES) {
      chunks.push(chunk);
    }
    bytes += chunk.byteLength;
  });
  const finish = (): void => done(Buffer.concat(chunks).toString('utf8'));
  response.once('end', finish);
  response.once('error', finish);
  response.once('close', finish);
}

/** No page should repeat the token; if one does, it goes no further. */
function hide(text: string, token: string | undefined): string {
  return token === undefined || token === '' ? text : text.replaceAll(token, '***');
}
