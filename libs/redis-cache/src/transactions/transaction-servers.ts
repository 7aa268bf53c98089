import type { CommandArgument } from './redis-transaction.js';

/** A command: its name and what follows. */
export type Command = readonly [name: string, ...parameters: CommandArgument[]];

/** The answer to one command. */
export type CommandReply =
  | { readonly kind: 'reply'; readonly reply: unknown }
  /** The server refuses it. */
  | { readonly kind: 'error'; readonly error: Error };

/**
 * A connection that one transaction has for itself. An implementer guarantees: commands are written in their order and at once; nothing is ever sent twice; when
 * it is lost it stays lost.
 */
export abstract class TransactionConnection {
  /** Commands can be sent. */
  abstract readonly usable: boolean;
  /** Rejects when the connection is lost before every answer is here: commands may have been run then. */
  abstract send(commands: readonly Command[]): Promise<readonly CommandReply[]>;
  /** Ends it at once, whatever is under way. Idempotent. */
  abstract drop(): void;
  /** Takes leave of the server, which may be gone. */
  abstract quit(): Promise<void>;
}

/** A server that has keys. */
export interface TransactionServer {
  /** Unique among the servers of a cluster. */
  readonly name: string;
  /** @throws Error when there is no connection within the time. */
  open(timeoutMs: number): Promise<TransactionConnection>;
}

/** Where a server sent us: for good, or with `asks` for what comes next only. */
export interface TransactionRedirection {
  readonly server: TransactionServer;
  readonly asks: boolean;
}

/** The servers behind a connection, as transactions need them. */
export abstract class TransactionServers {
  /** Keys lie in the slots of a cluster. */
  abstract readonly hasSlots: boolean;
  /** Whether keys lie on different servers, or may do so tomorrow. */
  abstract crosses(keys: readonly string[]): boolean;
  /** Who has a key. @throws Error when nobody is known to. */
  abstract holding(key: string): TransactionServer;
  /** Who has the key, as the error of a server says; `undefined`: it speaks of another key. @throws Error when nobody is known to. */
  abstract redirected(error: Error, key: string, from: TransactionServer): Promise<TransactionRedirection | undefined>;
}
