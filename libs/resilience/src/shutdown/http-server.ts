import { type IncomingMessage, Server as HttpServer, type ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { INestApplicationContext } from '@nestjs/common';
import type { Clock, Timer } from '../clock/clock.js';

/** How often connections that fell idle meanwhile are ended, in milliseconds. */
const IDLE_SWEEP_MS = 50;

/**
 * An app's HTTP server and all connections made to it from now on. Node's own `closeAllConnections` forgets those that were upgraded
 * (WebSockets), and a server does not end, nor Nest with it, as long as one of them is open.
 */
export class ClosableServer {
  readonly #server: HttpServer | HttpsServer;
  readonly #sockets = new Set<Socket>();
  readonly #onConnection = (socket: Socket): void => {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  };

  constructor(server: HttpServer | HttpsServer) {
    this.#server = server;
    server.on('connection', this.#onConnection);
  }

  /** The app's server; `undefined` for an application context. */
  static of(app: INestApplicationContext): ClosableServer | undefined {
    const getHttpServer: unknown = Reflect.get(app, 'getHttpServer');
    const server: unknown = typeof getHttpServer === 'function' ? Reflect.apply(getHttpServer, app, []) : undefined;
    return server instanceof HttpServer || server instanceof HttpsServer ? new ClosableServer(server) : undefined;
  }

  get listening(): boolean {
    return this.#server.listening;
  }

  /** Tells clients that keep their connection to use another one: every answer from now on says `Connection: close`. */
  announceClose(): () => void {
    const onRequest = (_request: IncomingMessage, response: ServerResponse): void => {
      response.setHeader('Connection', 'close');
    };
    this.#server.prependListener('request', onRequest);
    return () => void this.#server.off('request', onRequest);
  }

  /**
   * Closes it: no new connection, idle ones ended, running requests awaited until `signal` aborts; then all connections are cut.
   *
   * @returns how many connections had to be cut.
   */
  async close(clock: Clock, signal: AbortSignal): Promise<number> {
    let timer: Timer | undefined;
    let cut = 0;
    // A keep-alive connection falls idle when its last answer is sent; Node ends only those that are idle at the call.
    const sweep = (): void => {
      this.#server.closeIdleConnections();
      timer = clock.setTimer(IDLE_SWEEP_MS, sweep);
    };
    const onAbort = (): void => {
      cut = this.#cut();
    };
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    sweep();
    if (signal.aborted) {
      onAbort();
    } else {
      signal.addEventListener('abort', onAbort, { once: true });
    }
    try {
      await closed;
    } finally {
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
    }
    return cut;
  }

  /** Closes it at once if it listens: nobody is there to answer. */
  closeNow(): void {
    if (this.listening) {
      this.#server.close();
      this.#cut();
    }
  }

  /** Looks at it no more. */
  release(): void {
    this.#server.off('connection', this.#onConnection);
  }

  #cut(): number {
    const count = this.#sockets.size;
    // Those too that were open before this object was made.
    this.#server.closeAllConnections();
    this.#sockets.forEach((socket) => socket.destroy());
    return count;
  }
}
