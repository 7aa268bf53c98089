import type { TransactionConnection, TransactionServer } from './transaction-servers.js';

/** Connections that nobody uses at the moment, kept for who comes next. */
export class IdleConnections {
  /** The one that came back last is the last. */
  #kept: readonly { readonly server: string; readonly connection: TransactionConnection }[] = [];

  /** The one of this server that was used last: the others may have been closed by the server meanwhile. */
  take({ name }: TransactionServer): TransactionConnection | undefined {
    this.#kept = this.#kept.filter(({ connection }) => connection.usable);
    const found = this.#kept.findLast(({ server }) => server === name);
    this.#kept = this.#kept.filter((one) => one !== found);
    return found?.connection;
  }

  /** Keeps a connection, unless it was lost. */
  keep({ name }: TransactionServer, connection: TransactionConnection): void {
    if (connection.usable) {
      this.#kept = [...this.#kept, { server: name, connection }];
    }
  }

  /** Drops those that were not used for longest, until there are no more than this. */
  trim(limit: number): void {
    const surplus = Math.max(0, this.#kept.length - Math.max(0, limit));
    this.#kept.slice(0, surplus).forEach(({ connection }) => connection.drop());
    this.#kept = this.#kept.slice(surplus);
  }

  async close(): Promise<void> {
    const kept = this.#kept;
    this.#kept = [];
    await Promise.all(kept.map(({ connection }) => connection.quit()));
  }
}
