import { type Clock, type Random, ResilienceRegistry } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Command,
  type CommandReply,
  CrossSlotError,
  InvalidTransactionError,
  type RedisTransaction,
  RedisTransactionConflictError,
  RedisTransactionRefusedError,
  RedisTransactions,
  RedisTransactionsBusyError,
  RedisTransactionsClosedError,
  RedisTransactionTimeoutError,
  RedisTransactionUnavailableError,
  type RunTransactionOptions,
  TransactionConnection,
  type TransactionServer,
  TransactionServers,
  type TransactionsOptions,
} from '../index.js';
import { transactionBounds } from './transaction-options.js';

/** What happens to one thing that is sent. `lostBefore`: the server never sees it; `lostAfter`: nobody sees the answer. */
type Fate = 'sound' | 'lostBefore' | 'lostAfter' | 'silentBefore' | 'silentAfter';

/** Counters on one server, as `WATCH`, `GET`, `INCR` and `EXEC` go, over lines that take time and break. */
class FakeServer extends TransactionServers {
  readonly hasSlots = false;
  readonly values = new Map<string, number>();
  readonly open = new Set<FakeConnection>();
  opened = 0;
  fateOf: (commands: readonly Command[]) => Fate = () => 'sound';
  delayMs: () => number = () => 0;
  openingMs = 0;
  /** What a command is refused for. */
  errorOf: (name: string) => string | undefined = () => undefined;

  constructor(readonly clock: Clock) {
    super();
  }

  override crosses(keys: readonly string[]): boolean {
    return keys.includes('elsewhere');
  }

  /** Each key has a server of its own, as far as connections go. */
  override holding(key: string): TransactionServer {
    return {
      name: key,
      open: async () => {
        this.opened += 1;
        if (this.openingMs > 0) {
          await this.clock.sleep(this.openingMs);
        }
        return new FakeConnection(this);
      },
    };
  }

  override async redirected(): Promise<undefined> {
    return undefined;
  }

  /** A line takes its time. */
  async pass(): Promise<void> {
    const delayMs = this.delayMs();
    if (delayMs > 0) {
      await this.clock.sleep(delayMs);
    }
  }

  increment(key: string): number {
    const value = (this.values.get(key) ?? 0) + 1;
    this.values.set(key, value);
    // Whoever watches it hears of it.
    this.open.forEach((connection) => connection.touch(key));
    return value;
  }
}

class FakeConnection extends TransactionConnection {
  readonly #watched = new Set<string>();
  #touched = false;
  #queued: Command[] | undefined;
  usable = true;

  constructor(private readonly server: FakeServer) {
    super();
    server.open.add(this);
  }

  get watches(): boolean {
    return this.#watched.size > 0;
  }

  touch(key: string): void {
    this.#touched ||= this.#watched.has(key);
  }

  override async send(commands: readonly Command[]): Promise<readonly CommandReply[]> {
    const fate = this.server.fateOf(commands);
    await this.server.pass();
    if (fate === 'lostBefore' || !this.usable) {
      throw this.#end();
    }
    const replies = fate === 'silentBefore' ? [] : commands.map((command) => this.#run(command));
    if (fate === 'lostAfter') {
      throw this.#end();
    }
    if (fate === 'silentBefore' || fate === 'silentAfter') {
      return new Promise(() => {});
    }
    await this.server.pass();
    return replies;
  }

  override drop(): void {
    this.#end();
  }

  override async quit(): Promise<void> {
    this.#end();
  }

  #end(): Error {
    this.usable = false;
    this.server.open.delete(this);
    return new Error('The line is broken.');
  }

  #run(command: Command): CommandReply {
    const [name, ...parameters] = command;
    const key = String(parameters[0]);
    const error = this.server.errorOf(name);
    if (error !== undefined) {
      return { kind: 'error', error: new Error(error) };
    }
    if (this.#queued !== undefined && name !== 'EXEC') {
      this.#queued.push(command);
      return { kind: 'reply', reply: 'QUEUED' };
    }
    switch (name) {
      case 'WATCH':
        parameters.forEach((parameter) => this.#watched.add(String(parameter)));
        return { kind: 'reply', reply: 'OK' };
      case 'UNWATCH':
        return this.#unwatch('OK');
      case 'MULTI':
        this.#queued = [];
        return { kind: 'reply', reply: 'OK' };
      case 'EXEC': {
        const queued = this.#queued ?? [];
        const touched = this.#touched;
        this.#queued = undefined;
        this.#unwatch('OK');
        return { kind: 'reply', reply: touched ? null : queued.map((one) => this.server.increment(String(one[1]))) };
      }
      default:
        return { kind: 'reply', reply: this.server.values.get(key) ?? 0 };
    }
  }

  #unwatch(reply: unknown): CommandReply {
    this.#watched.clear();
    this.#touched = false;
    return { kind: 'reply', reply };
  }
}

function stage(options: TransactionsOptions = {}, random: Random = new SeededRandom(1)) {
  const clock = new VirtualClock();
  const server = new FakeServer(clock);
  const bounds = transactionBounds(options);
  const registry = new ResilienceRegistry(clock, random);
  const places = registry.create('places', {
    retry: false,
    breaker: false,
    bulkhead: { limit: bounds.maxConnections, queueLimit: bounds.maxWaiting },
  });
  const transactions = new RedisTransactions({
    servers: server,
    prefix: 'shop',
    options: bounds,
    places,
    clock,
    random,
  });
  const increment = (key: string, run: RunTransactionOptions = {}) =>
    transactions.run(
      [key],
      async (tx) => {
        const found = Number(await tx.read('GET', key));
        tx.queue('INCR', key);
        return found + 1;
      },
      run,
    );
  return { clock, server, transactions, increment };
}

const FATES: readonly Fate[] = ['lostBefore', 'lostAfter', 'silentBefore', 'silentAfter'];

describe('RedisTransactions', () => {
  it('does each run once, not at all, or says that it does not know, in whatever order lines break and others write', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer({ min: 0, max: 30 }), async (seed, faultsInHundred) => {
        const random = new SeededRandom(seed);
        const { clock, server, transactions, increment } = stage(
          { maxConnections: 3, maxWaiting: 40, waitTimeoutMs: 60_000 },
          random,
        );
        server.delayMs = () => random.int(5);
        server.fateOf = () => (random.int(100) < faultsInHundred ? (FATES[random.int(4)] ?? 'sound') : 'sound');
        const keys = ['a', 'b'];
        const granted = new Map<string, number[]>(keys.map((key) => [key, []]));
        const unknown = new Map<string, number>(keys.map((key) => [key, 0]));
        const runs = Array.from({ length: 24 }, async (_, at) => {
          const key = keys[at % 2] ?? '';
          await clock.sleep(random.int(20));
          try {
            const outcome = await increment(key, { attempts: 1 + random.int(20) });
            if (outcome.outcome === 'committed') {
              granted.get(key)?.push(outcome.value);
              expect(outcome.results).toEqual([{ status: 'replied', reply: outcome.value }]);
            }
          } catch (error) {
            if (RedisTransactionUnavailableError.is(error) && error.ambiguous) {
              unknown.set(key, (unknown.get(key) ?? 0) + 1);
            } else if (!RedisTransactionUnavailableError.is(error) && !RedisTransactionConflictError.is(error)) {
              throw error;
            }
          }
        });
        const ended = Promise.all(runs);
        await clock.advance(120_000);
        await ended;
        for (const key of keys) {
          const [values, value] = [granted.get(key) ?? [], server.values.get(key) ?? 0];
          // No two have seen the same value, and what nobody was granted is what nobody knows of.
          expect(new Set(values).size).toBe(values.length);
          expect(value - values.length).toBeGreaterThanOrEqual(0);
          expect(value - values.length).toBeLessThanOrEqual(unknown.get(key) ?? 0);
        }
        const { conflicts: _, ...ends } = transactions.stats();
        expect(Object.values(ends).reduce((sum, count) => sum + count, 0)).toBe(24);
        expect(server.open.size).toBeLessThanOrEqual(3);
        expect([...server.open].some((connection) => connection.watches)).toBe(false);
        await transactions.close();
        expect(server.open.size).toBe(0);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('gives up after so many attempts, with a random wait between them', async () => {
    const { clock, server, transactions } = stage();
    const attempts: number[] = [];
    const run = transactions.run(
      ['a'],
      async (tx) => {
        attempts.push(tx.attempt);
        server.increment('a');
      },
      { attempts: 3 },
    );
    const refused = expect(run).rejects.toThrow(RedisTransactionConflictError);
    await clock.advance(1_000);
    await refused;
    expect(attempts).toEqual([1, 2, 3]);
    expect(transactions.stats()).toMatchObject({ conflicted: 1, conflicts: 3, committed: 0 });
    expect(server.opened).toBe(1);
  });

  it('leaves nothing watched when the work throws, or gives up', async () => {
    const { server, transactions } = stage();
    const failing = transactions.run(['a'], async () => {
      throw new Error('no stock');
    });
    await expect(failing).rejects.toThrow('no stock');
    expect([...server.open].map((connection) => connection.watches)).toEqual([false]);
    expect(await transactions.run(['a'], async (tx) => tx.abandon('none left'))).toEqual({
      outcome: 'abandoned',
      reason: 'none left',
      attempts: 1,
    });
    expect([...server.open].map((connection) => connection.watches)).toEqual([false]);
  });

  it('tries again, on another connection, where a server cannot yet, and says where it could not to the end', async () => {
    const { clock, server, increment } = stage();
    let refusals = 2;
    server.errorOf = (name) => (name === 'WATCH' && refusals-- > 0 ? 'LOADING Redis is loading' : undefined);
    const later = increment('a');
    await clock.advance(100);
    expect(await later).toMatchObject({ outcome: 'committed', attempts: 3 });
    expect(server.opened).toBe(3);
    for (const [name, phase] of [
      ['WATCH', 'watch'],
      ['GET', 'read'],
      ['EXEC', 'exec'],
    ]) {
      server.errorOf = (asked) => (asked === name ? 'READONLY You can not write against a replica.' : undefined);
      const never = expect(increment('a', { attempts: 2 })).rejects.toMatchObject({
        code: RedisTransactionUnavailableError.code,
        phase,
        ambiguous: false,
      });
      await clock.advance(1_000);
      await never;
    }
    expect(server.values.get('a')).toBe(1);
  });

  it('does not follow a server out of what it was given, and refuses what a server refuses', async () => {
    const { server, increment } = stage();
    for (const error of ['MOVED 1 10.0.0.1:6379', 'OOM command not allowed']) {
      server.errorOf = (name) => (name === 'EXEC' ? error : undefined);
      await expect(increment('a')).rejects.toThrow(RedisTransactionRefusedError);
    }
    expect(server.values.has('a')).toBe(false);
  });

  it('ends work that does not end by its time, or by the signal of the caller, and takes nothing of it afterwards', async () => {
    const { clock, server, transactions, increment } = stage({ workTimeoutMs: 100 });
    let seen: RedisTransaction | undefined;
    const hang = (options: RunTransactionOptions = {}) =>
      transactions.run(
        ['a'],
        (tx) => {
          seen = tx;
          return new Promise<void>(() => {});
        },
        options,
      );
    const late = expect(hang()).rejects.toThrow(RedisTransactionTimeoutError);
    await clock.advance(100);
    await late;
    expect(seen?.signal.aborted).toBe(true);
    expect(() => seen?.queue('INCR', 'a')).toThrow(InvalidTransactionError);
    await expect(seen?.read('GET', 'a')).rejects.toThrow('its work has ended');
    expect(server.open.size).toBe(0);

    const caller = new AbortController();
    const aborted = expect(hang({ signal: caller.signal })).rejects.toThrow('gone');
    await clock.settle();
    caller.abort(new Error('gone'));
    await clock.settle();
    await aborted;
    expect(seen?.signal.reason).toEqual(new Error('gone'));
    expect(await increment('a')).toMatchObject({ outcome: 'committed', attempts: 1 });
    expect(server.opened).toBe(2);
    await expect(increment('a', { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
  });

  it('takes nothing of work that goes on after the caller has aborted, also while the connection is made ready for the next one', async () => {
    const { clock, server, transactions } = stage();
    const sent: string[] = [];
    server.delayMs = () => 2;
    server.fateOf = (commands) => {
      sent.push(...commands.map(([name]) => name));
      return 'sound';
    };
    const caller = new AbortController();
    let seen: RedisTransaction | undefined;
    const run = transactions.run(['a'], (tx) => new Promise<void>(() => (seen = tx)), { signal: caller.signal });
    const aborted = expect(run).rejects.toThrow('gone');
    await clock.advance(4);
    caller.abort(new Error('gone'));
    await clock.settle();
    expect(sent).toEqual(['WATCH', 'UNWATCH']);
    expect(() => seen?.queue('INCR', 'a')).toThrow(InvalidTransactionError);
    await expect(seen?.read('GET', 'a')).rejects.toThrow('its work has ended');
    await clock.advance(4);
    await aborted;
    expect(sent).toEqual(['WATCH', 'UNWATCH']);
  });

  it('leaves the line when the caller aborts, or the time to wait is over, and lets the next one in', async () => {
    const { clock, transactions } = stage({ maxConnections: 1, maxWaiting: 2, waitTimeoutMs: 100 });
    let release: () => void = () => {};
    const first = transactions.run(['a'], () => new Promise<void>((resolve) => (release = resolve)));
    const caller = new AbortController();
    const second = transactions.run(['a'], async () => {}, { signal: caller.signal });
    const left = expect(second).rejects.toThrow('gone');
    const third = transactions.run(['a'], async () => {});
    await expect(transactions.run(['a'], async () => {})).rejects.toThrow(RedisTransactionsBusyError);
    caller.abort(new Error('gone'));
    await left;
    await clock.settle();
    release();
    await clock.advance(50);
    expect([(await first).outcome, (await third).outcome]).toEqual(['committed', 'committed']);
  });

  it('refuses what it cannot run before anything is sent', async () => {
    const { server, transactions } = stage();
    const none = async (): Promise<void> => {};
    await expect(transactions.run([], none)).rejects.toThrow(InvalidTransactionError);
    await expect(transactions.run(['a', ''], none)).rejects.toThrow(InvalidTransactionError);
    await expect(transactions.run(['{shop:!gen}'], none)).rejects.toThrow(/under the prefix "shop"/);
    await expect(transactions.run(['a', 'elsewhere'], none)).rejects.toThrow(CrossSlotError);
    await expect(transactions.run(['a'], none, { attempts: 0 })).rejects.toThrow(/option "attempts"/);
    expect(server.opened).toBe(0);
    for (const key of ['{shop:prices:a}:v.7', Buffer.from('{shop:prices:a}:v.7')]) {
      await expect(transactions.run(['a'], async (tx) => tx.queue('SET', key, 'x'))).rejects.toThrow(
        /under the prefix "shop"/,
      );
    }
    for (const command of ['WATCH', 'exec', 'Subscribe', 'BLPOP', 'client']) {
      await expect(transactions.run(['a'], async (tx) => tx.queue(command, 'a'))).rejects.toThrow(
        InvalidTransactionError,
      );
      await expect(transactions.run(['a'], (tx) => tx.read(command, 'a'))).rejects.toThrow(InvalidTransactionError);
    }
  });

  it('finishes what runs when it is closed, and takes nothing new', async () => {
    const { clock, server, transactions, increment } = stage({ commandTimeoutMs: 50, maxConnections: 2 });
    server.delayMs = () => 2;
    const running = increment('a');
    const stuck = transactions.run(['b'], () => new Promise<void>(() => {}));
    const lost = expect(stuck).rejects.toThrow(RedisTransactionTimeoutError);
    const waiting = expect(increment('a')).rejects.toThrow(RedisTransactionsClosedError);
    await clock.settle();
    const closing = transactions.close();
    await expect(increment('a')).rejects.toThrow(RedisTransactionsClosedError);
    await clock.advance(50);
    await Promise.all([closing, waiting]);
    expect(await running).toMatchObject({ outcome: 'committed' });
    expect(server.open.size).toBe(0);
    await clock.advance(10_000);
    await lost;
    expect(clock.pendingTimers).toBe(0);
  });

  it('opens nothing and sends nothing once it is closed, also of a run that was between two attempts', async () => {
    const { clock, server, transactions } = stage({ commandTimeoutMs: 50 });
    let attempts = 0;
    const run = transactions.run(
      ['a'],
      async (tx) => {
        attempts = tx.attempt;
        server.increment('a');
        tx.queue('INCR', 'a');
      },
      { attempts: 1_000 },
    );
    const ended = expect(run).rejects.toThrow(RedisTransactionsClosedError);
    await clock.advance(1_000);
    const closing = transactions.close();
    await clock.advance(50);
    await closing;
    await ended;
    expect(clock.pendingTimers).toBe(0);
    const [opened, tried] = [server.opened, attempts];
    await clock.advance(10_000);
    expect([server.opened, attempts, server.open.size]).toEqual([opened, tried, 0]);
    expect(transactions.stats().failed).toBe(1);
  });

  it('drops a connection that is there only after it was closed', async () => {
    const { clock, server, transactions } = stage({ commandTimeoutMs: 50 });
    server.openingMs = 60;
    const sent: string[] = [];
    server.fateOf = (commands) => {
      sent.push(...commands.map(([name]) => name));
      return 'sound';
    };
    const ended = expect(transactions.run(['a'], async () => {})).rejects.toThrow(RedisTransactionsClosedError);
    await clock.settle();
    const closing = transactions.close();
    await clock.advance(50);
    await closing;
    await clock.advance(10);
    await ended;
    expect([sent, server.opened, server.open.size]).toEqual([[], 1, 0]);
  });
});
