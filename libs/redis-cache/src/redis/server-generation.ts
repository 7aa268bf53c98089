import type { Redis } from 'ioredis';

/**
 * Once per life of a server: a new one begins a new generation, in one step with the mark that it did. So does one that has lost its generation, to an eviction
 * or a flush. The server's clock keeps it from coming to a number that was used before. Both keys lie in one slot. ARGV: life of a mark in milliseconds.
 */
const SETTLE = `
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) and known > 0 then
  return known
end
local generation = math.max(known + 1, tonumber(redis.call('TIME')[1]))
redis.call('SET', KEYS[1], string.format('%d', generation))
return generation
`;

/** One life of a server, and the generation that it holds. */
export interface ServerLife {
  readonly life: string;
  readonly generation: number;
}

const MARK_TTL_MS = 30 * 86_400_000;

/**
 * The generation of what is stored under a prefix. A server that was restarted, or a replica that took over, may have lost writes that it had acknowledged:
 * what it holds is of no use to those who have seen newer. So whoever comes first to a new life of the server (its replication id and run id) begins a new
 * generation, and nobody reads of the one before.
 */
export async function settleGeneration(redis: Redis, prefix: string): Promise<ServerLife> {
  const [server, replication] = await Promise.all([redis.info('server'), redis.info('replication')]);
  const life = `${field(replication, 'master_replid')}:${field(server, 'run_id')}`;
  const base = `{${prefix}:!gen}`;
  const generation = await redis.eval(SETTLE, 2, base, `${base}:${life}`, MARK_TTL_MS);
  if (typeof generation !== 'number') {
    throw new TypeError(`The generation of "${prefix}" is ${String(generation)}.`);
  }
  return { life, generation };
}

function field(info: string, name: string): string {
  const value = new RegExp(`^${name}:(\\S+)`, 'm').exec(info)?.[1];
  if (value === undefined) {
    throw new TypeError(`INFO of this Redis does not tell "${name}"; allow the command to this user.`);
  }
  return value;
}
