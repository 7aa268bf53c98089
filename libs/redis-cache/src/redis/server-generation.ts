import type { Redis } from 'ioredis';

/**
 * Once per life of a server: a new one begins a new generation, in one step with the mark that it did. So does one that has lost its generation, to an eviction
 * or a flush. The number is the server's clock in microseconds where that is higher, so that two servers that know nothing of one another do not come to the
 * same one. All keys lie in one slot. KEYS: generation, marks of the lives. ARGV: life of a mark in milliseconds, the generation that the caller knows.
 */
const SETTLE = `
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
local mine = tonumber(ARGV[2])
local new = known == 0 or known < mine
for i = 2, #KEYS do
  if redis.call('SET', KEYS[i], '1', 'NX', 'PX', ARGV[1]) then
    new = true
  else
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
  end
end
if not new then
  return known
end
local time = redis.call('TIME')
local generation = math.max(known + 1, mine + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
redis.call('SET', KEYS[1], string.format('%.0f', generation))
return generation
`;

const MARK_TTL_MS = 30 * 86_400_000;

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
 * along what is out of date. So the failover of one shard empties the cache of them all.
 */
export class ServerGeneration {
  #current = 0;
  #turn: Promise<void> = Promise.resolve();

  /** @param onNew the generation is another one than before; not called for the first. */
  constructor(
    private readonly prefix: string,
    private readonly onNew: () => void,
  ) {}

  /** 0: not known yet. */
  get current(): number {
    return this.#current;
  }

  /** Takes up the generation that holds for these lives, one caller after the other. `redis` leads to where {@link generationKey} is kept. */
  settle(redis: Redis, lives: readonly string[]): Promise<void> {
    const settle = (): Promise<void> => this.#settle(redis, lives);
    const settled = this.#turn.then(settle, settle);
    this.#turn = settled;
    return settled;
  }

  async #settle(redis: Redis, lives: readonly string[]): Promise<void> {
    const key = generationKey(this.prefix);
    const marks = lives.map((life) => `${key}:${life}`);
    const generation = await redis.eval(SETTLE, 1 + marks.length, key, ...marks, MARK_TTL_MS, this.#current);
    if (typeof generation !== 'number') {
      throw new TypeError(`The generation of "${this.prefix}" is ${String(generation)}.`);
    }
    const before = this.#current;
    this.#current = generation;
    if (before !== 0 && before !== generation) {
      this.onNew();
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
