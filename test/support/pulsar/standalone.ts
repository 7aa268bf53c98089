import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { logFileFor, runFolder } from '../process/cache-folder.js';
import { freePorts } from '../process/free-ports.js';
import { ServerStartError, type ServerProcess, type StopOptions } from '../process/server-process.js';
import { PulsarAdmin } from './admin.js';
import {
  bookieProperties,
  brokerProperties,
  SUPERUSER,
  writeProperties,
  type BrokerAccess,
  type BrokerFeatures,
  type BrokerPorts,
} from './configuration.js';
import { launch, type PulsarCommand } from './launch.js';
import { type PulsarRuntime } from './runtime.js';
import { signToken, type TokenClaims } from './tokens.js';

/** How to start a standalone broker. */
export interface StandaloneOptions extends BrokerFeatures {
  /** Heap in MiB, and as much again for buffers outside it, at most. @defaultValue 320 */
  readonly memoryMiB?: number | undefined;
  /** Compiles for speed instead of a quick start: for benchmarks. @defaultValue false */
  readonly optimised?: boolean | undefined;
  /** Where Java writes the classes that it has loaded when it ends, for later starts. */
  readonly classArchiveTo?: string | undefined;
  /** Where configuration and data live. @defaultValue a folder of its own, removed by `stop()` */
  readonly folder?: string | undefined;
  /** The broker outlives this process; then the folder stays, too. @defaultValue false */
  readonly detached?: boolean | undefined;
  /** Ports to take when they are free. @defaultValue chosen */
  readonly preferredPorts?: readonly [binary: number, http: number] | undefined;
  /** @defaultValue 120_000 */
  readonly readyTimeoutMs?: number | undefined;
}

const CLUSTER = 'standalone';
const READY_TIMEOUT_MS = 120_000;
const PORT_ATTEMPTS = 3;

/** A real Pulsar in one process, with its own folder, ports and log; on 127.0.0.1 only. */
export class PulsarStandalone implements AsyncDisposable {
  readonly #runtime: PulsarRuntime;
  readonly #command: PulsarCommand;
  readonly #ports: BrokerPorts;
  readonly #access: BrokerAccess;
  readonly #options: StandaloneOptions;
  #process: ServerProcess;
  /** The admin API, as superuser. */
  readonly admin: PulsarAdmin;

  private constructor(
    runtime: PulsarRuntime,
    command: PulsarCommand,
    ports: BrokerPorts,
    access: BrokerAccess,
    options: StandaloneOptions,
  ) {
    this.#runtime = runtime;
    this.#command = command;
    this.#ports = ports;
    this.#access = access;
    this.#options = options;
    this.admin = new PulsarAdmin(
      this.adminUrl,
      CLUSTER,
      access.secret && signToken(access.secret, { subject: SUPERUSER }),
    );
    this.#process = launch(runtime, command);
  }

  /** Starts a broker and resolves when it is healthy. Tries other ports when somebody takes one in between. */
  static async start(runtime: PulsarRuntime, options: StandaloneOptions = {}): Promise<PulsarStandalone> {
    for (let attempt = 1; ; attempt += 1) {
      const standalone = await PulsarStandalone.#launched(runtime, attempt === 1 ? options : unpreferred(options));
      try {
        await standalone.#whenHealthy();
        return standalone;
      } catch (error) {
        await standalone.stop();
        const lostAPort = error instanceof ServerStartError && error.message.includes('Address already in use');
        if (!lostAPort || attempt === PORT_ATTEMPTS) {
          throw error;
        }
      }
    }
  }

  static async #launched(runtime: PulsarRuntime, options: StandaloneOptions): Promise<PulsarStandalone> {
    const [bookie = 0, binaryTls = 0, httpTls = 0, ...rest] = await freePorts(5);
    const [binary = 0, http = 0] = options.preferredPorts ?? rest;
    const ports = { binary, http, binaryTls, httpTls };
    const folder = options.folder ?? runFolder('pulsar');
    const { properties, access } = brokerProperties(folder, ports, options);
    const configuration = writeProperties(folder, 'standalone.conf', {
      clusterName: CLUSTER,
      // Without it the port of the bookie below is ignored.
      allowEphemeralPorts: true,
      ...bookieProperties(options),
      ...properties,
    });
    const command: PulsarCommand = {
      name: 'pulsar-standalone',
      mainClass: 'org.apache.pulsar.PulsarStandaloneStarter',
      args: Object.entries({
        '-c': configuration,
        '-a': '127.0.0.1',
        '--bookkeeper-port': String(bookie),
        '--bookkeeper-dir': join(folder, 'bookkeeper'),
        '--metadata-dir': join(folder, 'metadata'),
      })
        .flat()
        .concat('--no-functions-worker', '--no-stream-storage'),
      folder,
      logFile: logFileFor('pulsar-standalone'),
      memoryMiB: options.memoryMiB ?? 320,
      optimised: options.optimised,
      classArchiveTo: options.classArchiveTo,
      detached: options.detached,
    };
    return new PulsarStandalone(runtime, command, ports, access, options);
  }

  /** `pulsar://127.0.0.1:…` */
  get serviceUrl(): string {
    return `pulsar://127.0.0.1:${this.#ports.binary}`;
  }

  /** `http://127.0.0.1:…`; serves the admin API. */
  get adminUrl(): string {
    return `http://127.0.0.1:${this.#ports.http}`;
  }

  /** `ws://127.0.0.1:…` */
  get webSocketUrl(): string {
    return `ws://127.0.0.1:${this.#ports.http}`;
  }

  /** The TLS addresses by host name, with the authority (PEM) that signed the certificate. Needs the option `tls`. */
  get tls(): {
    readonly serviceUrl: string;
    readonly webSocketUrl: string;
    readonly adminUrl: string;
    readonly authority: string;
  } {
    const { authority } = this.#access;
    if (authority === undefined) {
      throw new Error('This broker was started without tls');
    }
    const { binaryTls, httpTls } = this.#ports;
    return {
      serviceUrl: `pulsar+ssl://localhost:${binaryTls}`,
      webSocketUrl: `wss://localhost:${httpTls}`,
      adminUrl: `https://localhost:${httpTls}`,
      authority,
    };
  }

  /** The process id; the command's that shows the container where it runs in one. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  get logFile(): string {
    return this.#command.logFile;
  }

  /** A token that this broker accepts, or one that has expired. Needs the option `authentication`. */
  token(claims: TokenClaims): string {
    if (this.#access.secret === undefined) {
      throw new Error('This broker was started without authentication');
    }
    return signToken(this.#access.secret, claims);
  }

  /** Ends the broker without warning, as a crash does; everything acknowledged stays on its disk. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** Starts a broker that has ended again, on the same data and ports; resolves when it is healthy. */
  async restart(): Promise<void> {
    if (this.#process.running) {
      throw new Error('This broker runs: kill() or shutDown() it first');
    }
    this.#process = launch(this.#runtime, this.#command);
    await this.#whenHealthy();
  }

  /** Ends the broker in order, for `restart()`. */
  async shutDown(options?: StopOptions): Promise<void> {
    await this.#process.stop(options);
  }

  /** Freezes the broker with its connections open. */
  async pause(): Promise<void> {
    await this.#process.freeze();
  }

  /** Wakes a frozen broker. */
  async resume(): Promise<void> {
    await this.#process.signal('SIGCONT');
  }

  /** Ends the broker at once and removes its data; the log stays in the cache folder. */
  async stop(): Promise<void> {
    await this.#process.kill();
    if (this.#options.folder === undefined) {
      rmSync(this.#command.folder, { recursive: true, force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #whenHealthy(): Promise<void> {
    await this.#process.whenReady(async () => this.admin.isHealthy(), this.#options.readyTimeoutMs ?? READY_TIMEOUT_MS);
  }
}

function unpreferred({ preferredPorts: _taken, ...options }: StandaloneOptions): StandaloneOptions {
  return options;
}
