import type { Clock } from '@smartpulse/resilience';
import {
  type TransactionConnection,
  type TransactionRedirection,
  type TransactionServer,
  TransactionServers,
} from '../../transactions/transaction-servers.js';
import { connectWithin } from '../connection/connect-within.js';
import { slotOf } from '../connection/cluster-slots.js';
import type { KeyHolder, RedisServers } from '../connection/redis.servers.js';
import { RedisTransactionConnection } from './redis.transaction-connection.js';

/** Connections for transactions to the servers that the caches know: to whoever has a key now. */
export class RedisTransactionServers extends TransactionServers {
  constructor(
    private readonly servers: RedisServers,
    private readonly clock: Clock,
  ) {
    super();
  }

  override get hasSlots(): boolean {
    return this.servers.hasSlots;
  }

  override crosses(keys: readonly string[]): boolean {
    return this.hasSlots && new Set(keys.map(slotOf)).size > 1;
  }

  override holding(key: string): TransactionServer {
    return new RedisTransactionServer(this.servers.holderOf(key), this.clock);
  }

  override async redirected(
    error: Error,
    key: string,
    from: TransactionServer,
  ): Promise<TransactionRedirection | undefined> {
    const to =
      from instanceof RedisTransactionServer ? await this.servers.redirected(error, key, from.holder) : undefined;
    return to === undefined ? undefined : { server: new RedisTransactionServer(to.holder, this.clock), asks: to.asks };
  }
}

class RedisTransactionServer implements TransactionServer {
  constructor(
    readonly holder: KeyHolder,
    private readonly clock: Clock,
  ) {}

  get name(): string {
    const { address } = this.holder;
    return address === undefined ? '' : `${address.host}:${address.port}`;
  }

  async open(timeoutMs: number): Promise<TransactionConnection> {
    const redis = this.holder.open({
      connectTimeout: timeoutMs,
      socketTimeout: undefined,
      enableAutoPipelining: false,
      // A template may have one that sends again what was refused.
      reconnectOnError: null,
    });
    await connectWithin(redis, this.clock, timeoutMs, async () => {
      // Commands that follow a MULTI which is refused would run one by one.
      await redis.call('MULTI');
      await redis.call('DISCARD');
    });
    return new RedisTransactionConnection(redis, this.clock);
  }
}
