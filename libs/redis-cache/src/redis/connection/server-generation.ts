import type { Clock } from '@smartpulse/resilience';
import type { Redis } from 'ioredis';

/**
 * Once per life of a server: a new one begins a new generation, in one step with the mark that it did. So does one that has lost its generation, to an eviction
 * or a flush. The number is the server's clock in microseconds where that is higher, so that two servers that know nothing of one another do not come to the
 * same one. All keys lie in one slot. KEYS: generation, its fence, marks of the lives. ARGV: life of a mark, the generation that the caller knows, life of the
 * fence, in milliseconds. Answers the generation and what is left of its fence.
 */
const SETTLE = `
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
local mine, fence = tonumber(ARGV[2]), tonumber(ARGV[3])
local new = known == 0 or known < mine
for i = 3, #KEYS do
  if redis.call('SET', KEYS[i], '1', 'NX', 'PX', ARGV[1]) then
    new = true
  else
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
  end
end
if new then
  local time = redis.call('TIME')
  known = math.max(known + 1, mine + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
  redis.call('SET', KEYS[1], string.format('%.0f', known))
  if fence > 0 then
    redis.call('SET', KEYS[2], '1', 'PX', fence)
  end
end
return { known, math.max(0, redis.call('PTTL', KEYS[2])) }
`;

const MARK_TTL_MS = 30 * 86_400_000;

/** What a {@link ServerGeneration} is made of. */
export interface GenerationOptions {
  readonly prefix: string;
  /** How old a new generation has to be before it is used, milliseconds; 0 where all keys are in one server. */
  readonly fenceMs: number;
  readonly clock: Clock;
  /** It is another one than before; not called for the first. */
  readonly onNew: () => void;
}

/** The key of the generation; what is told of it lies in its slot. */
export function generationKey(prefix: string): string {
  return `{${prefix}:!gen}`;
}

/**
 * The generation of what is stored under a prefix. A server that was restarted, or a replica that took over, may have lost writes that it had acknowledged:
 * what it holds is of no use to those who have seen newer. So whoever comes first to a new life of a server (its replication id and run id) begins a new
 * generation, and nobody reads of the one before.
 *
 * A cluster has one generation for all of its shards, and the lives of all masters count: with one for each shard, a slot that moves away and back would bring
 * along what is out of date. So the failover of one shard empties the cache of them all. Processes learn of it one after the other, while they go on with the
 * other shards; what one writes to the old generation, those who are in the new one already would not see. Hence the fence: nobody uses a generation before it
 * is `fenceMs` old, and nobody uses one that was not confirmed within half of that.
 */
export class ServerGeneration {
  readonly #options: GenerationOptions;
  #current = 0;
  #beginsMs = 0;
  #confirmedMs = -Infinity;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: GenerationOptions) {
    this.#options = options;
  }

  /** 0: not known yet. */
  get current(): number {
    return this.#current;
  }

  /**
   * Whether keys of it may be asked for now. `due`: they may, and it is to be confirmed soon; `unconfirmed`: not before it is; `fenced`: not yet. Without a
   * fence whoever is connected is settled.
   */
  get state(): 'usable' | 'due' | 'unconfirmed' | 'fenced' {
    const { fenceMs, clock } = this.#options;
    const nowMs = clock.monotonic();
    if (fenceMs === 0) {
      return 'usable';
    }
    if (nowMs < this.#beginsMs) {
      return 'fenced';
    }
    const ageMs = nowMs - this.#confirmedMs;
    return ageMs < fenceMs / 4 ? 'usable' : ageMs < fenceMs / 2 ? 'due' : 'unconfirmed';
  }

  /** How long it is until the fence is open. */
  get fencedMs(): number {
    return Math.max(0, this.#beginsMs - this.#options.clock.monotonic());
  }

  /** Takes up the generation that holds for these lives, one caller after the other. `redis` leads to where {@link generationKey} is kept. */
  settle(redis: Redis, lives: readonly string[]): Promise<void> {
    const settle = (): Promise<void> => this.#settle(redis, lives);
    const settled = this.#turn.then(settle, settle);
    this.#turn = settled;
    return settled;
  }

  /** Asks whether it still holds; `false`: it is to be settled again. */
  async confirm(redis: Redis): Promise<boolean> {
    const sentMs = this.#options.clock.monotonic();
    const holds = (await redis.get(generationKey(this.#options.prefix))) === String(this.#current);
    if (holds) {
      this.#confirmedMs = Math.max(this.#confirmedMs, sentMs);
    }
    return holds;
  }

  async #settle(redis: Redis, lives: readonly string[]): Promise<void> {
    const { prefix, clock, fenceMs, onNew } = this.#options;
    const key = generationKey(prefix);
    const keys = [key, `${key}:fence`, ...lives.map((life) => `${key}:${life}`)];
    const sentMs = clock.monotonic();
    const reply = await redis.eval(SETTLE, keys.length, ...keys, MARK_TTL_MS, this.#current, fenceMs);
    const [generation, leftMs] = Array.isArray(reply) ? (reply as unknown[]) : [];
    if (typeof generation !== 'number' || typeof leftMs !== 'number') {
      throw new TypeError(`The generation of "${prefix}" is ${String(reply)}.`);
    }
    const before = this.#current;
    this.#current = generation;
    this.#confirmedMs = sentMs;
    this.#beginsMs = clock.monotonic() + leftMs;
    if (before !== 0 && before !== generation) {
      onNew();
    }
  }
}

/**
 * One life of a server as master: another one begins when it is started again, or becomes a master.
 *
 * @throws Error when it is none, or does not tell.
 */
export async function lifeOf(redis: Redis): Promise<string> {
  const [server, replication] = await Promise.all([redis.info('server'), redis.info('replication')]);
  if (field(replication, 'role') !== 'master') {
    throw new Error('The server is a replica.');
  }
  return `${field(replication, 'master_replid')}:${field(server, 'run_id')}`;
}

function field(info: string, name: string): string {
  const value = new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1];
  if (value === undefined) {
    throw new TypeError(`INFO of this Redis does not tell "${name}"; allow the command to this user.`);
  }
  return value;
}
