import { Test } from '@nestjs/testing';
import {
  RedisCacheModule,
  type RedisCacheModuleOptions,
  RedisTransactions,
  RedisTransactionUnavailableError,
} from '@smartpulse/redis-cache';
import { ResilienceModule } from '@smartpulse/resilience';

/** An app that has transactions and no cache. */
export interface TransactionApp {
  readonly transactions: RedisTransactions;
  close(): Promise<void>;
}

export async function startTransactions(
  where: Pick<RedisCacheModuleOptions, 'url' | 'client' | 'transactions'>,
): Promise<TransactionApp> {
  const app = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot(), RedisCacheModule.forRoot({ ...where, prefix: 'shop', heartbeatMs: 200 })],
  }).compile();
  await app.init();
  return { transactions: await app.resolve(RedisTransactions), close: () => app.close() };
}

/** Writers that add 1 to a key, each time by reading it first, and go on through outages. */
export class TransactionLoad {
  committed = 0;
  /** Of those it is open whether they were done. */
  ambiguous = 0;
  /** Of those it is certain that they were not. */
  refused = 0;
  attempts = 0;
  readonly errors: unknown[] = [];
  readonly #writers: readonly Promise<void>[];
  readonly #stopping = new AbortController();

  /** @param count how often each writer adds; default: until it is stopped. */
  constructor(
    transactions: readonly RedisTransactions[],
    private readonly key: string,
    { writers = 2, count = Infinity }: { readonly writers?: number; readonly count?: number } = {},
  ) {
    this.#writers = transactions.flatMap((one) => Array.from({ length: writers }, () => this.#write(one, count)));
  }

  /** Resolves when all have written as often as they were to. */
  async ended(): Promise<void> {
    await Promise.all(this.#writers);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.ended();
  }

  async #write(transactions: RedisTransactions, count: number): Promise<void> {
    for (let done = 0; done < count && !this.#stopping.signal.aborted;) {
      try {
        const { attempts } = await transactions.run(
          [this.key],
          async (tx) => tx.queue('SET', this.key, Number(await tx.read('GET', this.key)) + 1),
          { attempts: 10_000 },
        );
        this.committed += 1;
        this.attempts += attempts;
        done += 1;
      } catch (error) {
        if (!RedisTransactionUnavailableError.is(error)) {
          this.errors.push(error);
          return;
        }
        this.ambiguous += error.ambiguous ? 1 : 0;
        this.refused += error.ambiguous ? 0 : 1;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }
}
