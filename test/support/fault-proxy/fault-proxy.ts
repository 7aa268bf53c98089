import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

/** Which way bytes go: from the client to the server, or back. */
export type Direction = 'toServer' | 'toClient';

const DIRECTIONS: readonly Direction[] = ['toServer', 'toClient'];

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Directions in which nothing is forwarded any more, though both ends stay open. */
  readonly silent: Set<Direction>;
}

interface Cut {
  leftBytes: number;
  readonly done: () => void;
}

/**
 * A TCP proxy on a free port of 127.0.0.1 that does to connections what networks do: cuts them, also in the middle of a frame, lets them go
 * silent, slows them down, and delivers streams in pieces.
 */
export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #port: number;
  readonly #scheme: string;
  readonly #links = new Set<Link>();
  readonly #cuts = new Map<Direction, Cut>();
  readonly #pieceBytes = new Map<Direction, number>();
  #delayMs = 0;
  #refuses = false;
  #accepted = 0;

  private constructor(server: Server, port: number, scheme: string) {
    this.#server = server;
    this.#port = port;
    this.#scheme = scheme;
  }

  /** @param url - of the server, `scheme://host:port`; {@link url} has the same scheme */
  static async before(url: string): Promise<FaultProxy> {
    const [scheme = '', rest = ''] = url.split('://');
    const { hostname, port } = new URL(`http://${rest}`);
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') {
      throw new Error('The proxy has no port');
    }
    const proxy = new FaultProxy(server, address.port, scheme);
    server.on('connection', (client) =>
      proxy.#accept(client, () => connect({ host: hostname, port: Number(port), noDelay: true })),
    );
    return proxy;
  }

  /** What clients connect to instead of the server. */
  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.#port}`;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#links.size;
  }

  /** Connections that were ever accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Ends all connections at once, in both directions. */
  cut(): void {
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
  }

  /**
   * Lets so many more bytes pass in one direction, on whichever connections, then ends the connection that carries the last of them: the
   * receiver gets exactly these bytes. Resolves when it has happened.
   */
  cutAfter(direction: Direction, bytes: number): Promise<void> {
    return new Promise((done) => this.#cuts.set(direction, { leftBytes: bytes, done }));
  }

  /** What is connected now goes silent though it stays open: nobody is told. Later connections are sound. */
  silence(...directions: readonly Direction[]): void {
    for (const { silent } of this.#links) {
      for (const direction of directions.length === 0 ? DIRECTIONS : directions) {
        silent.add(direction);
      }
    }
  }

  /** Everything comes so much later from now on; 0 = at once. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Everything comes in pieces of so many bytes from now on, each in a turn of the event loop of its own; 0 = as it is sent. */
  split(bytes: number, ...directions: readonly Direction[]): void {
    for (const direction of directions.length === 0 ? DIRECTIONS : directions) {
      this.#pieceBytes.set(direction, bytes);
    }
  }

  /** Whether whoever connects from now on is cut off at once. */
  refuse(refuses: boolean): void {
    this.#refuses = refuses;
  }

  /** No faults from now on; what was cut stays cut, what is silent stays silent. */
  calm(): void {
    this.#delayMs = 0;
    this.#refuses = false;
    this.#pieceBytes.clear();
    this.#cuts.clear();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(client: Socket, dial: () => Socket): void {
    this.#accepted++;
    if (this.#refuses) {
      client.destroy();
      return;
    }
    const server = dial();
    const link: Link = { client, server, silent: new Set() };
    this.#links.add(link);
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      // A fault at one end is a fault at the other; what kind of fault makes no difference to a test.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#links.delete(link);
        other.destroy();
      });
    }
    void this.#pump(link, 'toServer', client, server);
    void this.#pump(link, 'toClient', server, client);
  }

  async #pump(link: Link, direction: Direction, from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        if (this.#delayMs > 0) {
          await sleep(this.#delayMs);
        }
        await this.#forward(link, direction, chunk, from, to);
      }
    } catch {
      // The end of a connection, wanted or not: 'close' above deals with it.
      to.destroy();
    }
  }

  async #forward(link: Link, direction: Direction, chunk: Buffer, from: Socket, to: Socket): Promise<void> {
    const pieceBytes = this.#pieceBytes.get(direction) ?? 0;
    const step = pieceBytes === 0 ? chunk.length : pieceBytes;
    for (let at = 0; at < chunk.length && !link.silent.has(direction); at += step) {
      const piece = chunk.subarray(at, at + step);
      const cut = this.#cuts.get(direction);
      if (cut !== undefined && cut.leftBytes <= piece.length) {
        this.#cuts.delete(direction);
        // Nothing more goes either way, and the receiver reads up to the cut: an abrupt end could take the last bytes back.
        DIRECTIONS.forEach((each) => link.silent.add(each));
        to.end(piece.subarray(0, cut.leftBytes), () => from.destroySoon());
        cut.done();
        return;
      }
      if (cut !== undefined) {
        cut.leftBytes -= piece.length;
      }
      if (!to.write(piece)) {
        await drained(to);
      }
      if (pieceBytes > 0) {
        // Pieces of one turn would be read as one chunk.
        await turn();
      }
    }
  }
}

/** Resolves when there is room again, or never will be. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      socket.off('drain', settle);
      socket.off('close', settle);
      resolve();
    };
    socket.on('drain', settle);
    socket.on('close', settle);
  });
}
