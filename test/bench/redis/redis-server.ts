import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { deathSignalCommand } from '../../support/process/death-signal.ts';

const START_WAIT_MS = 10_000;

/** A Redis that keeps nothing, on a free port of 127.0.0.1, for as long as the benchmark runs. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#child = child;
  }

  /** `undefined` where redis-server is not installed. */
  static async start(): Promise<RedisServer | undefined> {
    const port = await freePort();
    const [file, ...args] = deathSignalCommand('SIGKILL', 'redis-server', [
      '--port',
      `${port}`,
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--daemonize',
      'no',
      // What the handlers are slow to read would else end their connection.
      '--client-output-buffer-limit',
      'pubsub 0 0 0',
    ]);
    const child = spawn(file, args, { stdio: 'ignore' });
    const ended = new Promise<false>((resolve) => {
      child.once('error', () => resolve(false));
      child.once('exit', () => resolve(false));
    });
    const isUp = await Promise.race([ended, answers(port)]);
    if (!isUp) {
      child.kill('SIGKILL');
      return undefined;
    }
    return new RedisServer(port, child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.kill('SIGTERM')) {
      await once(this.#child, 'exit');
    }
  }
}

async function answers(port: number): Promise<boolean> {
  const startedMs = performance.now();
  while (performance.now() - startedMs < START_WAIT_MS) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (isThere) {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') {
    throw new Error('No port is free.');
  }
  return address.port;
}
