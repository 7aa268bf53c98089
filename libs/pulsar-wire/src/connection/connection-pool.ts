import type { Duplex } from 'node:stream';
import { ConnectionError, toWireError, WireClosedError } from '../client/client.errors.js';
import { WireError } from '../pulsar-wire.errors.js';
import { Connection, type ConnectionSettings } from './connection.js';
import type { Dial } from './dial.js';
import { SocketIntake } from './intake.js';
import { addressUrl, type BrokerAddress } from './service-url.js';

/** Where to, and which broker behind it. */
export interface ConnectionTarget {
  /** What is dialled. */
  readonly address: BrokerAddress;
  /** The broker to be spoken to when `address` is a proxy (or a standalone that acts as one). */
  readonly broker?: BrokerAddress | undefined;
  /** Which of several connections to it. Default 0. */
  readonly slot?: number | undefined;
}

/** The connections of one client: one per target, made once however many ask for it at the same time. */
export class ConnectionPool {
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #open = new Set<Connection>();
  readonly #dialling = new Set<AbortController>();
  #closed = false;

  constructor(
    private readonly dial: Dial,
    private readonly connectTimeoutMs: number,
    private readonly settings: ConnectionSettings,
  ) {}

  /** Connections that are open now. */
  get size(): number {
    return this.#open.size;
  }

  /** @throws {@link ConnectionError}, or the broker's refusal. */
  get(target: ConnectionTarget): Promise<Connection> {
    if (this.#closed) {
      return Promise.reject(new WireClosedError('client'));
    }
    const broker = target.broker === undefined ? '' : addressUrl(target.broker);
    const key = `${addressUrl(target.address)}|${broker}|${target.slot ?? 0}`;
    const known = this.#connections.get(key);
    if (known !== undefined) {
      return known;
    }
    const forget = (): void => {
      if (this.#connections.get(key) === made) {
        this.#connections.delete(key);
      }
    };
    const made = this.#make(target, forget);
    this.#connections.set(key, made);
    // The caller is told of the failure; here only the place is made free again.
    made.catch(forget);
    return made;
  }

  /** Ends all connections: what was written still leaves. */
  close(): void {
    this.#end(new WireClosedError('client'), (connection) => connection.close());
  }

  /** Ends all connections at once. */
  destroy(cause: WireError): void {
    this.#end(cause, (connection) => connection.destroy(cause));
  }

  #end(cause: WireError, end: (connection: Connection) => void): void {
    this.#closed = true;
    for (const controller of this.#dialling) {
      controller.abort(cause);
    }
    for (const connection of this.#open) {
      end(connection);
    }
  }

  async #make(target: ConnectionTarget, forget: () => void): Promise<Connection> {
    const controller = new AbortController();
    this.#dialling.add(controller);
    const url = addressUrl(target.address);
    const timer = this.settings.clock.setTimer(this.connectTimeoutMs, () =>
      controller.abort(new ConnectionError(url, `could not be made within ${this.connectTimeoutMs} ms`)),
    );
    const onEnd = (connection: Connection): void => {
      forget();
      if (this.#open.delete(connection) && !this.#closed) {
        this.settings.emit({ type: 'connection-lost', address: connection.address, cause: connection.ended });
      }
    };
    try {
      const intake = new SocketIntake();
      const stream = await this.#dialled(target.address, controller.signal, intake);
      const connection = await Connection.open(
        stream,
        intake,
        target.address,
        target.broker,
        this.settings,
        controller.signal,
        onEnd,
      );
      if (connection.ended !== undefined) {
        throw connection.ended;
      }
      this.#open.add(connection);
      return connection;
    } catch (error) {
      throw toWireError(error);
    } finally {
      timer.cancel();
      this.#dialling.delete(controller);
    }
  }

  async #dialled(address: BrokerAddress, signal: AbortSignal, intake: SocketIntake): Promise<Duplex> {
    try {
      return await this.dial(address, signal, intake);
    } catch (cause) {
      throw cause instanceof WireError
        ? cause
        : new ConnectionError(addressUrl(address), 'could not be made', { cause });
    }
  }
}
