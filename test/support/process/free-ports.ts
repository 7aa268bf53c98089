import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the ranges that systems take the ports of outgoing connections from (Linux 32768, others 49152): a client that calls a stopped server on a
 * port inside that range may be given the very same port and then connects to itself, and any connection of others may hold it at a restart.
 */
const LOWEST = 20_000;
const HIGHEST = 32_000;
const ATTEMPTS_PER_PORT = 50;

/** Ports on 127.0.0.1 that nobody listens on at the moment; all different. Whoever starts a server on them is ready for losing the race. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; ports.size < count; attempt += 1) {
    if (attempt >= count * ATTEMPTS_PER_PORT) {
      throw new Error(`There are no ${count} free ports between ${LOWEST} and ${HIGHEST} on 127.0.0.1`);
    }
    const port = randomInt(LOWEST, HIGHEST);
    if (!ports.has(port) && (await isFree(port))) {
      ports.add(port);
    }
  }
  return [...ports];
}

/** Whether a server could listen on this port of 127.0.0.1 now. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
