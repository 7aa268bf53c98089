import { connect } from 'node:net';
import { logFileFor, runFolder } from '../process/cache-folder.js';
import { freePorts } from '../process/free-ports.js';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestCertificates } from '../pulsar/certificates.js';
import { ServerProcess } from '../process/server-process.js';
import type { RedisProgram } from './redis-program.js';

const READY_TIMEOUT_MS = 10_000;
const PORT_ATTEMPTS = 5;

/** What a {@link RedisServer} is started with. */
export interface RedisServerOptions {
  /** Default: the `redis-server` on the path. */
  readonly program?: RedisProgram | undefined;
  /** Keeps its data over a restart. Default `false`. */
  readonly appendOnly?: boolean | undefined;
  /** Asked of everybody who connects. */
  readonly password?: string | undefined;
  /** Serves TLS as well, on another port; `clients`: whoever comes there needs a certificate of the same authority. */
  readonly tls?: { readonly certificates: TestCertificates; readonly clients: boolean } | undefined;
  /** More options as of the command line, without dashes; several words of one are a list. */
  readonly options?: Readonly<Record<string, string | readonly string[]>> | undefined;
  /** Outlives this process, as `npm run services:up` wants it. Default `false`. */
  readonly detached?: boolean | undefined;
  /** For its data; it exists. Default: one that goes with the run. */
  readonly folder?: string | undefined;
  /** Default: any free one. */
  readonly preferredPort?: number | undefined;
}

/** One real Redis on a free port of loopback. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  /** Where it serves TLS, if it does. */
  readonly tlsPort: number;
  readonly #folder: string;
  readonly #options: RedisServerOptions;
  #process: ServerProcess;

  private constructor(ports: readonly number[], folder: string, options: RedisServerOptions) {
    const [port = 0, tlsPort = 0] = ports;
    this.port = port;
    this.tlsPort = tlsPort;
    this.#folder = folder;
    this.#options = options;
    this.#process = this.#spawn();
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const { preferredPort } = options;
      const [port = 0, tlsPort = 0] = await freePorts(2);
      const ports = [attempt === 1 && preferredPort !== undefined ? preferredPort : port, tlsPort];
      const server = new RedisServer(ports, options.folder ?? runFolder(`redis-${ports[0]}`), options);
      try {
        await server.#ready();
        return server;
      } catch (error) {
        await server.stop();
        // Somebody took the port in between.
        if (attempt === PORT_ATTEMPTS) {
          throw error;
        }
      }
    }
  }

  /** Where clients find it. */
  get url(): string {
    const { password } = this.#options;
    return `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${this.port}`;
  }

  /** Where its data and its log are. */
  get folder(): string {
    return this.#folder;
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Freezes it with its connections open, until {@link thaw}. */
  freeze(): Promise<void> {
    return this.#process.freeze();
  }

  thaw(): Promise<void> {
    return this.#process.signal('SIGCONT');
  }

  /** Ends it without warning. */
  kill(): Promise<void> {
    return this.#process.kill();
  }

  /** Starts it again on the same port, with the data that it kept. */
  async restart(): Promise<void> {
    await this.#process.kill();
    this.#process = this.#spawn();
    await this.#ready();
  }

  stop(): Promise<void> {
    return this.#process.stop({ graceMs: 2_000 });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #spawn(): ServerProcess {
    const { program, appendOnly = false, password, options = {} } = this.#options;
    const all = {
      port: String(this.port),
      bind: '127.0.0.1',
      dir: this.#folder,
      daemonize: 'no',
      save: '',
      // Whoever looks for it finds it by its folder.
      'set-proc-title': 'no',
      appendonly: appendOnly ? 'yes' : 'no',
      ...(password === undefined ? {} : { requirepass: password }),
      ...this.#tlsOptions(),
      ...options,
    };
    return ServerProcess.start({
      name: `redis on port ${this.port}`,
      command: program?.command ?? 'redis-server',
      args: [...(program?.args ?? []), ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, value].flat())],
      detached: this.#options.detached,
      folder: this.#folder,
      logFile: logFileFor('redis'),
    });
  }

  #tlsOptions(): Readonly<Record<string, string>> {
    const { tls } = this.#options;
    if (tls === undefined) {
      return {};
    }
    const { certificate, privateKey, authority } = tls.certificates;
    const write = (name: string, pem: string): string => {
      const file = join(this.#folder, name);
      writeFileSync(file, pem, { mode: 0o600 });
      return file;
    };
    return {
      'tls-port': String(this.tlsPort),
      'tls-cert-file': write('server.crt', certificate),
      'tls-key-file': write('server.key', privateKey),
      'tls-ca-cert-file': write('authority.crt', authority),
      'tls-auth-clients': tls.clients ? 'yes' : 'no',
    };
  }

  #ready(): Promise<void> {
    return this.#process.whenReady(() => answersPing(this.port), READY_TIMEOUT_MS);
  }
}

/** Whether a server of the protocol listens on this port of 127.0.0.1 and serves. */
export function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (ready: boolean): void => {
      socket.destroy();
      resolve(ready);
    };
    socket.once('connect', () => socket.write('PING\r\n'));
    // A server that asks for a password answers too.
    socket.once('data', (data) => end(/^(?:\+PONG|-NOAUTH)/.test(data.toString('latin1'))));
    socket.once('error', () => end(false));
    socket.setTimeout(1_000, () => end(false));
  });
}
