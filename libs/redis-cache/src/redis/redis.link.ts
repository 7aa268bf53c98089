import { Logger } from '@nestjs/common';
import type { Clock, Random, Timer } from '@smartpulse/resilience';
import { Redis, type RedisOptions } from 'ioredis';
import { CacheStoreUnavailableError } from '../redis-cache.errors.js';
import { ChannelSequences } from './channel-sequences.js';
import { SCRIPTS, type ScriptName } from './scripts.js';
import { type ServerLife, settleGeneration } from './server-generation.js';
import { messageHead, plainMessage } from './wire-message.js';

/** What a {@link RedisLink} is made of. */
export interface RedisLinkOptions {
  /** `redis://[user:password@]host[:port][/database]` or `rediss://…`. */
  readonly url: string;
  /** In front of every key. */
  readonly prefix: string;
  /** How long the first connection may take, milliseconds. */
  readonly connectTimeoutMs: number;
  /** How often each channel tells its last number, milliseconds. */
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** Hears of the connection that brings the messages. */
export interface SubscriberListener {
  /** It is there; nothing is subscribed yet. */
  onReady(): void;
  /** The server began a new life: what was read of the one before may be newer than what it holds now. */
  onNewGeneration(): void;
  onLost(reason: string): void;
  onMessage(channel: string, text: string): void;
}

const CLOCK_EVERY_MS = 60_000;
const PARTING_MS = 500;
const RETRY_MAX_MS = 2_000;
/** Heartbeats leave by the data connection and come back by the other one: one that is silent for so many of them is half open, and another one is made. */
const SILENT_HEARTBEATS = 3;

/**
 * The connections to one Redis: one for data, one for messages. Commands fail at once while there is no connection: the caller has its loader, and a queue
 * would only deliver what nobody waits for any more.
 */
export class RedisLink {
  readonly #logger = new Logger('RedisCacheModule');
  readonly #options: RedisLinkOptions;
  readonly #data: Redis;
  readonly #subscriber: Redis;
  readonly #channels = new Set<string>();
  #listener: SubscriberListener | undefined;
  #serverAheadMs = 0;
  #server: ServerLife | undefined;
  /** The generation of this connection is known: until then nothing is asked. */
  #settled = false;
  #settling: Promise<void> | undefined;
  #timers: readonly Timer[] = [];
  #closing: Promise<void> | undefined;

  /** The numbers of this process's messages. */
  readonly sequences: ChannelSequences;

  constructor(options: RedisLinkOptions) {
    const { random, url } = options;
    this.#options = options;
    this.sequences = new ChannelSequences(random.id());
    const shared: RedisOptions = {
      lazyConnect: true,
      connectTimeout: options.connectTimeoutMs,
      retryStrategy: (attempt) => random.next() * Math.min(RETRY_MAX_MS, 50 * 2 ** Math.min(attempt, 10)),
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      keepAlive: 30_000,
      socketTimeout: options.heartbeatMs * SILENT_HEARTBEATS,
    };
    this.#data = new Redis(url, {
      ...shared,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      enableAutoPipelining: true,
      // A master that became a replica: go and look for the new one.
      reconnectOnError: ({ message }) => message.startsWith('READONLY'),
    });
    this.#subscriber = new Redis(url, { ...shared, maxRetriesPerRequest: null });
    for (const [name, lua] of Object.entries(SCRIPTS)) {
      this.#data.defineCommand(name, { numberOfKeys: 1, lua });
    }
    this.#watch();
  }

  /** Milliseconds of the server's clock, as far as it is known here. */
  nowMs(): number {
    return this.#options.clock.monotonic() + this.#serverAheadMs;
  }

  /** The name under which a key is kept in this life of the server. */
  stored(key: string): string {
    return `${key}.${this.#server?.generation ?? 0}`;
  }

  /**
   * A change came to a key of another generation: looks which one it is, and where it is this one, the key is evicted from it, for the change has not reached
   * it. Whoever made the change hears of that, and looks too.
   */
  heardOf(generation: number, key: string, channel: string): void {
    if (this.#settled && generation !== this.#server?.generation) {
      this.#comeTogether(generation, key, channel).catch((error: unknown) =>
        this.#logger.debug(`Redis did not answer (${String(error)}).`),
      );
    }
  }

  /**
   * Connects both, and loads the scripts.
   *
   * @throws {@link CacheStoreUnavailableError} when there is no Redis, or it refuses.
   */
  async connect(): Promise<void> {
    try {
      await Promise.all([this.#data.connect(), this.#subscriber.connect()]);
      await this.#settle();
      await this.#readClock();
    } catch (cause) {
      this.#data.disconnect();
      this.#subscriber.disconnect();
      throw new CacheStoreUnavailableError('connect', cause);
    }
    this.#every(this.#options.heartbeatMs, () => this.#beat());
    this.#every(CLOCK_EVERY_MS, async () => {
      await this.#readClock();
      // It also keeps the mark of the generation from being the key unused for longest.
      await this.#look();
    });
  }

  async get(key: string): Promise<string | null> {
    return await this.#ready().get(this.stored(key));
  }

  async getMany(keys: readonly string[]): Promise<readonly (string | null)[]> {
    return keys.length === 0 ? [] : await this.#ready().mget(keys.map((key) => this.stored(key)));
  }

  /** Runs a script on a key. */
  async run(name: ScriptName, key: string, ...parameters: readonly (string | number)[]): Promise<unknown> {
    const data = this.#ready();
    const command: unknown = Reflect.get(data, name);
    if (typeof command !== 'function') {
      throw new TypeError(`The script ${name} is not defined.`);
    }
    const reply: unknown = await command.call(data, this.stored(key), ...parameters);
    return reply;
  }

  /** One step of a walk over the keys of this life of the server that match. */
  async scan(cursor: string, pattern: string, count: number): Promise<{ cursor: string; keys: readonly string[] }> {
    const end = this.stored('');
    const [next, stored] = await this.#ready().scan(cursor, 'MATCH', `${pattern}${end}`, 'COUNT', count);
    return { cursor: next, keys: stored.map((name) => name.slice(0, -end.length)) };
  }

  async publish(channel: string, text: string): Promise<void> {
    await this.#data.publish(channel, text);
  }

  /** Who hears what comes over the connection for messages. One at a time. */
  listen(listener: SubscriberListener): void {
    this.#listener = listener;
  }

  /** Whether {@link subscribe} can be asked now. */
  get subscriberReady(): boolean {
    return this.#subscriber.status === 'ready';
  }

  /** Resolves when the server has acknowledged it. */
  async subscribe(channel: string): Promise<void> {
    await this.#subscriber.subscribe(channel);
  }

  async unsubscribe(channel: string): Promise<void> {
    this.#channels.delete(channel);
    if (this.subscriberReady) {
      await this.#parting(this.#subscriber.unsubscribe(channel));
    }
  }

  /** Ends the connection for messages as lost: another one follows. */
  reconnectSubscriber(): void {
    this.#subscriber.disconnect(true);
  }

  /** From now on this channel hears a heartbeat of this process, also when nothing else is to be told. */
  beatOn(channel: string): void {
    this.#channels.add(channel);
  }

  /** Ends both connections. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) {
      timer.cancel();
    }
    this.#listener = undefined;
    for (const client of [this.#data, this.#subscriber]) {
      if (client.status === 'ready') {
        // oxlint-disable-next-line no-await-in-loop -- what was sent is answered before the connection ends
        await this.#parting(client.quit());
      }
      client.disconnect();
    }
  }

  /** What is said at the end is not waited for any longer than this: the server may be gone, or frozen. */
  #parting(said: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.setTimer(PARTING_MS, resolve);
      const end = (): void => {
        timer.cancel();
        resolve();
      };
      said.then(end, (error: unknown) => {
        this.#logger.debug(`A connection ended first (${String(error)}).`);
        end();
      });
    });
  }

  #ready(): Redis {
    if (!this.#settled) {
      throw new Error('There is no connection to Redis.');
    }
    return this.#data;
  }

  /** What the connection needs before anybody asks by it. */
  async #settle(): Promise<void> {
    await Promise.all(Object.values(SCRIPTS).map((lua) => this.#data.script('LOAD', lua)));
    await this.#look();
    this.#settled = true;
  }

  /** Takes up the generation that the server is in; one look at a time. */
  #look(): Promise<void> {
    this.#settling ??= this.#takeUp().finally(() => {
      this.#settling = undefined;
    });
    return this.#settling;
  }

  async #comeTogether(generation: number, key: string, channel: string): Promise<void> {
    await this.#look();
    if (generation !== this.#server?.generation) {
      await this.run('smartpulseEvict', key, channel, messageHead(this.sequences.next(channel, PROCESS_SOURCE)));
    }
  }

  async #takeUp(): Promise<void> {
    const server = await settleGeneration(this.#data, this.#options.prefix);
    const before = this.#server;
    this.#server = server;
    if (before !== undefined && (server.life !== before.life || server.generation !== before.generation)) {
      this.#listener?.onNewGeneration();
    }
  }

  #watch(): void {
    this.#data.on('close', () => {
      this.#settled = false;
    });
    this.#data.on('ready', () => {
      if (this.#server !== undefined) {
        this.#settle().catch((error: unknown) => {
          this.#logger.warn(`Redis was connected and cannot be used yet (${String(error)}).`);
          this.#data.disconnect(true);
        });
      }
    });
    this.#subscriber.on('ready', () => this.#listener?.onReady());
    this.#subscriber.on('close', () => this.#listener?.onLost('The connection to Redis was lost.'));
    this.#subscriber.on('message', (channel, text) => this.#listener?.onMessage(channel, text));
    for (const [client, name] of [
      [this.#data, 'data'],
      [this.#subscriber, 'messages'],
    ] as const) {
      let failing = false;
      client.on('error', (error) => {
        if (!failing) {
          failing = true;
          this.#logger.warn(`Redis, connection for ${name}: ${error.message}; it is tried again.`);
        }
      });
      client.on('ready', () => {
        failing = false;
      });
    }
  }

  /** Each timer is set anew when its work is done, so that a slow server is not asked twice. */
  #every(delayMs: number, work: () => Promise<void>): void {
    const { clock } = this.#options;
    const arm = (): void => {
      const timer = clock.setTimer(
        delayMs,
        () => {
          this.#timers = this.#timers.filter((one) => one !== timer);
          const again = (): void => {
            if (this.#closing === undefined) {
              arm();
            }
          };
          work().then(again, (error: unknown) => {
            // The connection says itself that it is lost; the next time will show.
            this.#logger.debug(`Redis did not answer (${String(error)}).`);
            again();
          });
        },
        { unref: true },
      );
      this.#timers = [...this.#timers, timer];
    };
    arm();
  }

  async #beat(): Promise<void> {
    const channels = new Set([...this.#channels, ...this.sequences.channels]);
    await Promise.all([...channels].map((channel) => this.publish(channel, this.#heartbeat(channel))));
  }

  #heartbeat(channel: string): string {
    return plainMessage(this.sequences.last(channel, PROCESS_SOURCE), 'heartbeat');
  }

  /** The offset of the narrowest of a few round trips is off by half of that trip at most. */
  async #readClock(): Promise<void> {
    const { clock } = this.#options;
    let narrowestMs = Infinity;
    for (let sample = 0; sample < 3; sample++) {
      const beforeMs = clock.monotonic();
      // oxlint-disable-next-line no-await-in-loop -- one round trip after the other
      const [seconds, micros] = await this.#data.time();
      const afterMs = clock.monotonic();
      if (afterMs - beforeMs < narrowestMs) {
        narrowestMs = afterMs - beforeMs;
        this.#serverAheadMs = Number(seconds) * 1_000 + Number(micros) / 1_000 - (beforeMs + afterMs) / 2;
      }
    }
  }
}

/** Heartbeats, and what a process does by itself, are of the process, whatever its writers call themselves. */
const PROCESS_SOURCE = '-';
