import type { Clock } from '@smartpulse/resilience';
import { checkCacheKey } from '../../namespace/cache-key.js';
import { type RecordReply, RecordStore, type StoredRecord } from '../../records/record.store.js';
import { within } from '../../store/within.js';
import { EntryVersion } from '../../version/entry-version.js';
import type { RedisLink } from '../connection/redis.link.js';

/** What a stored record begins with: its kind and format, then its order in a fixed width. */
const HEAD = 'R1';
const ORDER_END = HEAD.length + EntryVersion.ZERO.toString().length;

/** ARGV[1], ARGV[2]: order and text; ARGV[3]: life in milliseconds, or ''. */
const STORE = `
local function store()
  local record = '${HEAD}' .. ARGV[1] .. ARGV[2]
  if ARGV[3] == '' then redis.call('SET', KEYS[1], record) else redis.call('SET', KEYS[1], record, 'PX', ARGV[3]) end
  return { 1 }
end
`;

const GET = `return redis.call('GET', KEYS[1])`;

/** Answers 1, or 0 and what stands. */
const PUT = `${STORE}
local current = redis.call('GET', KEYS[1])
if current and ARGV[1] < string.sub(current, ${HEAD.length + 1}, ${ORDER_END}) then return { 0, current } end
return store()
`;

/** ARGV[4]: the expected order, or ''. Answers 1, or 0 and what stands. */
const REPLACE = `${STORE}
local current = redis.call('GET', KEYS[1])
if ARGV[4] ~= (current and string.sub(current, ${HEAD.length + 1}, ${ORDER_END}) or '') then return { 0, current } end
return store()
`;

/** What a {@link RedisRecordStore} is made of. */
export interface RedisRecordStoreParts {
  /** For this store alone, which closes it. */
  readonly link: RedisLink;
  /** In front of every name. */
  readonly prefix: string;
  /** Longest wait for one answer, milliseconds. */
  readonly timeoutMs: number;
  /** Life of a record from its last write, milliseconds. Default: none, it stays. */
  readonly lifeMs?: number | undefined;
  readonly clock: Clock;
}

/**
 * Records in Redis: strings without an end of their life, which no generation of the cache concerns. They are as durable as the server is set up to be; a
 * server that evicts (`maxmemory-policy`) must not evict keys without a life: `volatile-*` or `noeviction`.
 */
export class RedisRecordStore extends RecordStore {
  readonly durable = true;
  readonly shared = true;
  readonly #parts: RedisRecordStoreParts;

  constructor(parts: RedisRecordStoreParts) {
    super();
    this.#parts = parts;
  }

  override async get(name: string): Promise<StoredRecord | undefined> {
    return readRecord(await this.#run('get record', GET, name));
  }

  override async put(name: string, record: StoredRecord): Promise<RecordReply> {
    return toReply(record, await this.#run('put record', PUT, name, ...this.#written(record)));
  }

  override async replace(name: string, expected: EntryVersion | undefined, record: StoredRecord): Promise<RecordReply> {
    const parameters = [...this.#written(record), expected?.toString() ?? ''];
    return toReply(record, await this.#run('replace record', REPLACE, name, ...parameters));
  }

  override close(): Promise<void> {
    return this.#parts.link.close();
  }

  #written({ order, text }: StoredRecord): readonly string[] {
    return [order.toString(), text, this.#parts.lifeMs?.toString() ?? ''];
  }

  async #run(operation: string, lua: string, name: string, ...parameters: readonly string[]): Promise<unknown> {
    checkCacheKey(name);
    const { link, prefix, timeoutMs, clock } = this.#parts;
    return await within(clock, timeoutMs, operation, () => link.evaluate(lua, `{${prefix}:${name}}:r`, ...parameters));
  }
}

function toReply(record: StoredRecord, reply: unknown): RecordReply {
  const [stored, current] = Array.isArray(reply) ? (reply as unknown[]) : [];
  if (stored === 1) {
    return { outcome: 'stored', current: { order: record.order, text: record.text } };
  }
  return { outcome: 'refused', current: readRecord(current) };
}

function readRecord(text: unknown): StoredRecord | undefined {
  if (text === null || text === undefined) {
    return undefined;
  }
  if (typeof text !== 'string' || !text.startsWith(HEAD)) {
    throw new TypeError('A record in Redis is of another format.');
  }
  return { order: EntryVersion.parse(text.slice(HEAD.length, ORDER_END)), text: text.slice(ORDER_END) };
}
