import type { Redis } from 'ioredis';
import type { RedisTarget } from './redis.target.js';
import {
  dataOptions,
  type KeyHolder,
  type Lane,
  loadScripts,
  RedisServers,
  type ScanStep,
  type ServersContext,
  subscriberOptions,
} from './redis.servers.js';
import { NotConnectedError, ServerConnection } from './server-connection.js';
import { lifeOf } from './server-generation.js';

/** One server, or the one that sentinels name as the master. */
export class SingleServers extends RedisServers {
  readonly hasSlots = false;
  readonly subscriber: ServerConnection;
  readonly #data: ServerConnection;
  readonly #context: ServersContext;
  readonly #target: Extract<RedisTarget, { kind: 'server' }>;
  #dataLife = '';
  #subscriberLife = '';

  constructor(target: Extract<RedisTarget, { kind: 'server' }>, context: ServersContext) {
    super();
    this.#context = context;
    this.#target = target;
    const { clock, random, connectTimeoutMs: timeoutMs, onChange } = context;
    this.#data = new ServerConnection({
      name: 'data',
      timeoutMs,
      clock,
      random,
      open: () => target.open({ ...dataOptions(context), enableAutoPipelining: true }),
      prepare: (redis) => this.#prepareData(redis),
      onChange,
    });
    this.subscriber = new ServerConnection({
      name: 'messages',
      timeoutMs,
      clock,
      random,
      open: () => target.open(subscriberOptions(context)),
      prepare: (redis) => this.#prepareSubscriber(redis),
      onChange,
    });
  }

  override get whole(): boolean {
    return this.#data.up !== undefined && this.subscriber.up !== undefined && this.#dataLife === this.#subscriberLife;
  }

  override get lanes(): readonly Lane[] {
    const redis = this.#data.up;
    return redis === undefined ? [] : [{ name: '', redis }];
  }

  override async start(): Promise<void> {
    await Promise.all([this.#data.start(), this.subscriber.start()]);
  }

  override run<T>(_key: string, command: (redis: Redis) => Promise<T>): Promise<T> {
    return this.#command(command);
  }

  override send<T>(_key: string, command: (redis: Redis) => Promise<T>): Promise<T> {
    return this.#command(command);
  }

  override laneOf(): string {
    return '';
  }

  /** Also while the caches have no connection: the way to the server is the same. */
  override holderOf(): KeyHolder {
    return { address: undefined, open: (own) => this.#target.open(own) };
  }

  override async redirected(): Promise<undefined> {
    return undefined;
  }

  override async scan(cursor: string, pattern: string, count: number): Promise<ScanStep> {
    const [next, keys] = await this.#ready().scan(cursor, 'MATCH', pattern, 'COUNT', count);
    return { cursor: next, keys };
  }

  override async look(): Promise<void> {
    const redis = this.#ready();
    await this.#meet(redis);
  }

  override async time(): Promise<readonly [string, string]> {
    const [seconds, micros] = await this.#ready().time();
    return [String(seconds), String(micros)];
  }

  override async close(): Promise<void> {
    await Promise.all([this.#data.close(), this.subscriber.close()]);
  }

  /** On the way of every read: the command's own promise, and none around it. */
  #command<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = this.#data.up;
    return redis === undefined ? Promise.reject(new NotConnectedError()) : command(redis);
  }

  #ready(): Redis {
    const redis = this.#data.up;
    if (redis === undefined) {
      throw new NotConnectedError();
    }
    return redis;
  }

  async #prepareData(redis: Redis): Promise<void> {
    await loadScripts(redis);
    await this.#meet(redis);
  }

  async #meet(redis: Redis): Promise<void> {
    const life = await lifeOf(redis);
    await this.#context.generation.settle(redis, [life]);
    if (this.#dataLife !== '' && this.#dataLife !== life) {
      await this.#context.onNewLife(redis);
    }
    // Only now: whoever fails before meets it again, and does everything anew.
    this.#dataLife = life;
    // Who came last has asked last who the master is.
    if (this.subscriber.up !== undefined && this.#subscriberLife !== life) {
      this.subscriber.renew();
    }
  }

  async #prepareSubscriber(redis: Redis): Promise<void> {
    this.#subscriberLife = await lifeOf(redis);
    if (this.#data.up !== undefined && this.#subscriberLife !== this.#dataLife) {
      this.#data.renew();
    }
    this.#context.onSubscriber(redis);
  }
}
