import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { SqlEngine } from './seam.js';
import { Channel } from './wire/channel.js';
import { Connection, type ConnectionSettings } from './wire/connection.js';
import { FaultPlan } from './wire/faults/fault-plan.js';
import type { ServerCertificate } from './wire/login/tls-tunnel.js';

/** What a test server is made of. */
export interface TestSqlServerOptions {
  readonly engine: SqlEngine;
  /** Default: a free port. */
  readonly port?: number;
  /** Lets clients encrypt; `required` refuses those that do not. Default: no encryption. */
  readonly tls?: ServerCertificate & { readonly required?: boolean };
  /** Default: nothing goes wrong. */
  readonly faults?: FaultPlan;
  /** The server's name in errors. Default `TESTSERVER`. */
  readonly serverName?: string;
  /** The database of a login that names none. Default `master`. */
  readonly defaultDatabase?: string;
}

/** A server that listens on loopback. */
export interface TestSqlServer {
  readonly host: string;
  readonly port: number;
  /** `mssql://127.0.0.1:port`; credentials and database are the engine's affair. */
  readonly url: string;
  /** Connections that are open now. */
  readonly openConnections: number;
  /** Connections that were ever accepted. */
  readonly acceptedConnections: number;
  /** Resets every open connection; new ones are welcome. */
  cut(): void;
  /** Resets every open connection and refuses new ones, until {@link listenAgain}. */
  goDown(): Promise<void>;
  /** Listens on the same port again. */
  listenAgain(): Promise<void>;
  /**
   * Ends everything.
   *
   * @throws AggregateError of what broke in the engine or on the wire meanwhile, which a client saw as a lost connection.
   */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
/** The first failures tell the story. */
const MOST_FAILURES = 20;

/** Starts a SQL Server for tests: real TDS on loopback in front of an engine. */
export async function startTestSqlServer(options: TestSqlServerOptions): Promise<TestSqlServer> {
  const server = new LoopbackServer({
    engine: options.engine,
    faults: options.faults ?? new NoFaults(),
    serverName: options.serverName ?? 'TESTSERVER',
    defaultDatabase: options.defaultDatabase ?? 'master',
    tls: options.tls,
  });
  await server.listen(options.port ?? 0);
  return server;
}

class NoFaults extends FaultPlan {}

class LoopbackServer implements TestSqlServer {
  readonly host = HOST;
  port = 0;
  acceptedConnections = 0;
  private readonly open = new Map<Channel, Promise<void>>();
  private readonly failures: unknown[] = [];
  private listener: Server | undefined;

  constructor(private readonly settings: ConnectionSettings) {}

  get url(): string {
    return `mssql://${HOST}:${this.port}`;
  }

  get openConnections(): number {
    return this.open.size;
  }

  async listen(port: number): Promise<void> {
    const listener = createServer((socket) => this.accept(socket));
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port, HOST, () => {
        listener.off('error', reject);
        resolve();
      });
    });
    this.listener = listener;
    this.port = (listener.address() as AddressInfo).port;
  }

  listenAgain(): Promise<void> {
    return this.listen(this.port);
  }

  cut(): void {
    for (const channel of this.open.keys()) {
      channel.reset();
    }
  }

  async goDown(): Promise<void> {
    const { listener } = this;
    this.listener = undefined;
    const closed = new Promise<void>((resolve) => {
      if (listener === undefined) {
        resolve();
      } else {
        listener.close(() => resolve());
      }
    });
    this.cut();
    await closed;
    // Also those that knocked while it went down.
    await Promise.all(this.open.values());
  }

  async stop(): Promise<void> {
    await this.goDown();
    if (this.failures.length > 0) {
      throw new AggregateError(this.failures, `The SQL test server broke: ${String(this.failures[0])}`);
    }
  }

  private accept(socket: Socket): void {
    this.acceptedConnections += 1;
    const channel = new Channel(socket);
    const connection = new Connection(channel, this.acceptedConnections, this.settings);
    const served = connection
      .serve()
      .catch((error: unknown) => this.fail(error))
      .finally(() => {
        if (channel.failure !== undefined) {
          this.fail(channel.failure);
        }
        this.open.delete(channel);
        channel.end();
      });
    this.open.set(channel, served);
    if (this.listener === undefined) {
      // It knocked before the server went down, and nobody else would end it.
      channel.reset();
    }
  }

  private fail(error: unknown): void {
    if (this.failures.length < MOST_FAILURES) {
      this.failures.push(error);
    }
  }
}
