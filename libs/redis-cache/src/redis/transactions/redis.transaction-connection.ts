import type { Clock } from '@smartpulse/resilience';
import type { Redis } from 'ioredis';
import { type Command, type CommandReply, TransactionConnection } from '../../transactions/transaction-servers.js';

/** How long a server may take to say goodbye: it may be gone, or frozen. */
const PARTING_MS = 500;

/** One client of `ioredis` that never connects again by itself, and sends each command as it is. */
export class RedisTransactionConnection extends TransactionConnection {
  readonly #redis: Redis;
  readonly #clock: Clock;
  #dropped = false;

  constructor(redis: Redis, clock: Clock) {
    super();
    this.#redis = redis;
    this.#clock = clock;
    // Those who watch the sentinels for it are let go, too.
    redis.once('close', () => this.drop());
  }

  /** A client says for a moment that it is ready when its socket has ended already; nothing can be written then. */
  override get usable(): boolean {
    return !this.#dropped && this.#redis.status === 'ready' && this.#redis.stream.writable;
  }

  override send(commands: readonly Command[]): Promise<readonly CommandReply[]> {
    // The client writes each by itself; together they are one packet.
    const { stream } = this.#redis;
    stream.cork();
    const replies = Promise.all(commands.map((command) => this.#send(command)));
    stream.uncork();
    return replies;
  }

  override drop(): void {
    if (!this.#dropped) {
      this.#dropped = true;
      this.#redis.disconnect();
    }
  }

  override async quit(): Promise<void> {
    if (this.usable) {
      const timer = this.#clock.setTimer(PARTING_MS, () => this.drop());
      await Promise.allSettled([this.#redis.quit()]);
      timer.cancel();
    }
    this.drop();
  }

  /** In capitals: by that name the client has no form of its own for a reply. */
  async #send([name, ...parameters]: Command): Promise<CommandReply> {
    try {
      return { kind: 'reply', reply: await this.#redis.call(name.toUpperCase(), ...parameters) };
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError') {
        return { kind: 'error', error };
      }
      throw error;
    }
  }
}
