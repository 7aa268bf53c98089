import { type IncomingMessage, Server as HttpServer, type ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { INestApplicationContext } from '@nestjs/common';
import type { Clock, Timer } from '../clock/clock.js';

/** A Node server with the connections of HTTP/1. */
export type ClosableServer = HttpServer | HttpsServer;

/** The app's HTTP server while it listens; `undefined` for an application context, or before `listen`. */
export function listeningServer(app: INestApplicationContext): ClosableServer | undefined {
  const getHttpServer: unknown = Reflect.get(app, 'getHttpServer');
  if (typeof getHttpServer !== 'function') {
    return undefined;
  }
  const server: unknown = Reflect.apply(getHttpServer, app, []);
  return (server instanceof HttpServer || server instanceof HttpsServer) && server.listening ? server : undefined;
}

/** Tells clients that keep their connection to use another one: every answer from now on says `Connection: close`. */
export function announceClose(server: ClosableServer): () => void {
  const onRequest = (_request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('Connection', 'close');
  };
  server.prependListener('request', onRequest);
  return () => void server.off('request', onRequest);
}

/**
 * Closes a server: no new connection, idle ones ended, running requests awaited until `signal` aborts; then all connections are cut.
 *
 * @returns how many connections had to be cut.
 */
export async function closeServer(server: ClosableServer, clock: Clock, signal: AbortSignal): Promise<number> {
  let timer: Timer | undefined;
  let cut = 0;
  // A keep-alive connection falls idle when its last answer is sent; Node ends only those that are idle at the call.
  const sweep = (): void => {
    server.closeIdleConnections();
    timer = clock.setTimer(IDLE_SWEEP_MS, sweep);
  };
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const open = signal.aborted ? 0 : await openConnections(server);
  const onAbort = (): void => {
    cut = open;
    server.getConnections((_error, count) => {
      cut = count ?? open;
      server.closeAllConnections();
    });
  };
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

function openConnections(server: ClosableServer): Promise<number> {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count ?? 0)));
}

/** How often connections that fell idle meanwhile are ended, in milliseconds. */
const IDLE_SWEEP_MS = 50;
