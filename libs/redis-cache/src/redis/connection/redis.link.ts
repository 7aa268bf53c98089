import { Logger } from '@nestjs/common';
import type { Clock, Random, Timer } from '@smartpulse/resilience';
import type { Redis } from 'ioredis';
import { CacheStoreUnavailableError } from '../../redis-cache.errors.js';
import type { RedisClientTemplate } from '../../redis-cache.options.js';
import { ChannelSequences } from '../messages/channel-sequences.js';
import { ClusterServers } from './cluster.servers.js';
import { RecentChanges } from '../entries/recent-changes.js';
import { type RedisServers, type ScanStep, type ServersContext } from './redis.servers.js';
import { type RedisTarget, targetOfClient, targetOfUrl } from './redis.target.js';
import { CHANGES, runScript, type ScriptName, type ScriptOfMany } from '../entries/commands.js';
import { NotConnectedError } from './server-connection.js';
import { ServerGeneration } from './server-generation.js';
import { SharedRun } from './shared-run.js';
import { SingleServers } from './single.servers.js';
import { headOf, type SentMessage, SentMessages, type Told } from '../messages/sent-messages.js';
import { messageHead, plainMessage } from '../messages/wire-message.js';

/** What a {@link RedisLink} is made of. */
export interface RedisLinkOptions {
  /** One of the forms of `RedisCacheModuleOptions.url`; not needed with `client`. */
  readonly url?: string | undefined;
  /** A client that the app has: duplicated, and left alone otherwise. */
  readonly client?: RedisClientTemplate | undefined;
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
  /** Messages and data can be had, from servers whose generation is settled; nothing is subscribed yet. */
  onReady(): void;
  /** A server began a new life: what was read of the one before may be newer than what it holds now. */
  onNewGeneration(): void;
  onLost(reason: string): void;
  onMessage(channel: string, text: string): void;
}

/** See {@link ServerGeneration}. */
const FENCE_MS = 1_000;
const CLOCK_EVERY_MS = 60_000;
/** Heartbeats leave by the data connection and come back by the other one: one that is silent for so many of them is half open, and another one is made. */
const SILENT_HEARTBEATS = 3;

/**
 * The connections to one Redis, to the master that sentinels name, or to a cluster: for data, and for messages. Commands fail at once while there is no
 * connection: the caller has its loader, and a queue would only deliver what nobody waits for any more.
 */
export class RedisLink {
  readonly #logger = new Logger('RedisCacheModule');
  readonly #options: RedisLinkOptions;
  readonly #target: RedisTarget;
  readonly #servers: RedisServers;
  readonly #generation: ServerGeneration;
  readonly #looking: SharedRun;
  readonly #channels = new Set<string>();
  readonly #changes = new RecentChanges();
  readonly #recoveries = new Set<() => void>();
  #listener: SubscriberListener | undefined;
  #serverAheadMs = 0;
  #whole = false;
  #timers: readonly Timer[] = [];
  #fence: Timer | undefined;
  #closing: Promise<void> | undefined;

  /** When this process last gave a sign of life, lane by lane, on the clock's monotonic scale. */
  beatsMs: ReadonlyMap<string, number> = new Map();
  /** The numbers of this process's messages. */
  readonly sequences: ChannelSequences;
  readonly #messages: SentMessages;

  /** @throws ConfigurationError when the client is none of `ioredis`. */
  constructor(options: RedisLinkOptions) {
    const { random, clock, url = '', client, prefix, connectTimeoutMs, heartbeatMs } = options;
    this.#options = options;
    this.sequences = new ChannelSequences(random.id());
    this.#messages = new SentMessages(this.sequences, this.#logger);
    this.#target = client === undefined ? targetOfUrl(url) : targetOfClient(client);
    this.#generation = new ServerGeneration({
      prefix,
      fenceMs: this.#target.kind === 'cluster' ? FENCE_MS : 0,
      clock,
      onNew: () => this.#begun(),
    });
    const context: ServersContext = {
      prefix,
      connectTimeoutMs,
      silentMs: heartbeatMs * SILENT_HEARTBEATS,
      clock,
      random,
      generation: this.#generation,
      onChange: () => this.#changed(),
      onNewLife: async (redis) => {
        await this.#readClock(() => redis.time());
        await this.#repeat(redis);
      },
      onSubscriber: (redis) => {
        redis.on('message', (channel, text) => this.#listener?.onMessage(channel, text));
      },
    };
    this.#servers =
      this.#target.kind === 'cluster'
        ? new ClusterServers(this.#target, context)
        : new SingleServers(this.#target, context);
    this.#looking = new SharedRun(() => this.#servers.look());
  }

  /** Where it leads, without credentials. */
  get description(): string {
    return this.#target.description;
  }

  /** All keys are in one server. */
  get isOneServer(): boolean {
    return this.#target.kind === 'server';
  }

  /** For who makes connections of its own to them. */
  get servers(): RedisServers {
    return this.#servers;
  }

  /** Milliseconds of the server's clock, as far as it is known here. */
  nowMs(): number {
    return this.#options.clock.monotonic() + this.#serverAheadMs;
  }

  /** The name under which a key is kept in this life of the server. */
  stored(key: string): string {
    return `${key}.${this.#generation.current}`;
  }

  /**
   * A change came to a key of another generation: looks which one it is, and where it is this one, the key is evicted from it, for the change has not reached
   * it. Whoever made the change hears of that, and looks too.
   */
  heardOf(generation: number, key: string, channel: string): void {
    if (this.#generation.current !== 0 && generation !== this.#generation.current) {
      this.#comeTogether(generation, key, channel).catch((error: unknown) =>
        this.#logger.debug(`Redis did not answer (${String(error)}).`),
      );
    }
  }

  /**
   * Connects, and takes up the generation.
   *
   * @throws {@link CacheStoreUnavailableError} when there is no Redis, or it refuses.
   */
  async connect(): Promise<void> {
    try {
      await this.#inTime(this.#servers.start());
      await this.#readClock();
    } catch (cause) {
      await this.close();
      throw new CacheStoreUnavailableError('connect', cause);
    }
    if (!this.#whole) {
      this.#logger.warn('A part of Redis cannot be reached: until it can, the first level is not trusted.');
    }
    this.#every(this.#options.heartbeatMs, () => this.#beat());
    this.#every(CLOCK_EVERY_MS, async () => {
      await this.#readClock();
      // It also keeps the mark of the generation from being the key unused for longest.
      await this.#looking.run();
    });
  }

  get(key: string): Promise<string | null> {
    return this.#servers.run(key, (redis) => redis.get(this.stored(key)));
  }

  /** Every field of a hash; none of a key that is not there. */
  getHash(key: string): Promise<Record<string, string>> {
    return this.#servers.run(key, (redis) => redis.hgetall(this.stored(key)));
  }

  /** Some fields of a hash, aligned with the names. */
  getHashFields(key: string, names: readonly string[]): Promise<readonly (string | null)[]> {
    return this.#servers.run(key, (redis) => redis.hmget(this.stored(key), ...names));
  }

  async getMany(keys: readonly string[]): Promise<readonly (string | null)[]> {
    if (this.#target.kind === 'cluster') {
      return Promise.all(keys.map((key) => this.get(key)));
    }
    const [first] = keys;
    return first === undefined
      ? []
      : this.#servers.run(first, (redis) => redis.mget(keys.map((key) => this.stored(key))));
  }

  /** Runs a script on a key that tells nobody. */
  async run(name: ScriptName, key: string, ...parameters: readonly (string | number)[]): Promise<unknown> {
    return this.#servers.run(key, (redis) => runScript(redis, name, [this.stored(key)], parameters));
  }

  /** Runs a script on a key that publishes on a channel. Its number is taken when it is sent: what was not sent is not missed. */
  tell(
    name: ScriptName,
    key: string,
    { channel, source }: Told,
    ...parameters: readonly (string | number)[]
  ): Promise<unknown> {
    let sent: SentMessage | undefined;
    // No async function: it is on the way of every set.
    return this.#servers
      .run(key, (redis) => {
        sent ??= this.#begin(redis, key, channel, source);
        if (CHANGES.has(name)) {
          this.#changes.note(key, channel, this.#options.clock.monotonic());
        }
        return runScript(redis, name, [this.stored(key)], [channel, headOf(sent), ...parameters]);
      })
      .then(
        (reply) => {
          this.#messages.end(channel, sent);
          return reply;
        },
        (error: unknown) => {
          this.#messages.end(channel, sent, error);
          throw error;
        },
      );
  }

  /** Like {@link tell}, for a script of many keys, all in one slot. Each key has a message of its own; its head comes before the parameters of that key. */
  tellAll(
    name: ScriptOfMany,
    keys: readonly [string, ...string[]],
    { channel, source }: Told,
    common: readonly string[],
    parameters: readonly (readonly (string | number)[])[],
  ): Promise<unknown> {
    const sent: SentMessage[] = [];
    const end = (failure?: unknown): void => sent.forEach((one) => this.#messages.end(channel, one, failure));
    return this.#servers
      .run(keys[0], (redis) => {
        const given: (string | number)[] = [channel, ...common];
        keys.forEach((key, index) => {
          sent[index] ??= this.#begin(redis, key, channel, source);
          given.push(headOf(sent[index]), ...(parameters[index] ?? []));
        });
        return runScript(
          redis,
          name,
          keys.map((key) => this.stored(key)),
          given,
        );
      })
      .then(
        (reply) => {
          end();
          return reply;
        },
        (error: unknown) => {
          end(error);
          throw error;
        },
      );
  }

  #begin(redis: Redis, key: string, channel: string, source: string): SentMessage {
    return this.#messages.begin(redis, this.#servers.laneOf(key), channel, source);
  }

  /** Runs a script on a key that is no entry of the cache: its name stands as it is, in every life of the server. */
  async evaluate(lua: string, key: string, ...parameters: readonly string[]): Promise<unknown> {
    return this.#servers.send(key, (redis) => redis.eval(lua, 1, key, ...parameters));
  }

  /** One step of a walk over the keys of this life of the server that match. */
  async scan(cursor: string, pattern: string, count: number): Promise<ScanStep> {
    const end = this.stored('');
    const step = await this.#servers.scan(cursor, `${pattern}${end}`, count);
    return { cursor: step.cursor, keys: step.keys.map((name) => name.slice(0, -end.length)) };
  }

  /** Tells the replicas what concerns no single key. */
  async flush(channel: string, source: string): Promise<void> {
    const lane = this.#servers.laneOf(channel);
    await this.publish(channel, plainMessage(this.sequences.next(channel, source, lane), 'flush'));
  }

  /** What is published on one channel leaves by one server, in order. */
  async publish(channel: string, text: string): Promise<void> {
    const name = this.#servers.laneOf(channel);
    const lane = this.#servers.lanes.find((one) => one.name === name);
    if (lane === undefined) {
      throw new NotConnectedError();
    }
    await lane.redis.publish(channel, text);
  }

  /** Who hears what comes over the connection for messages. One at a time. */
  listen(listener: SubscriberListener): void {
    this.#listener = listener;
  }

  /** Calls when Redis can be used again after it could not. */
  onRecovery(call: () => void): void {
    this.#recoveries.add(call);
  }

  /** Messages can be had, and every server that holds keys can be asked: what is subscribed now may be trusted. */
  get whole(): boolean {
    return this.#whole;
  }

  /** The ways by which messages of this process leave, and each is to be heard of; see {@link ChannelSequences.laneOf}. */
  get lanes(): readonly string[] {
    return this.#servers.lanes.map(({ name }) => name);
  }

  /** Resolves when the server has acknowledged it. */
  async subscribe(channel: string): Promise<void> {
    const redis = this.#servers.subscriber.up;
    if (redis === undefined) {
      throw new NotConnectedError();
    }
    await redis.subscribe(channel);
  }

  async unsubscribe(channel: string): Promise<void> {
    this.#channels.delete(channel);
    const { subscriber } = this.#servers;
    if (subscriber.up !== undefined) {
      await subscriber.parting(subscriber.up.unsubscribe(channel));
    }
  }

  /** Ends the connection for messages as lost: another one follows. */
  reconnectSubscriber(): void {
    this.#servers.subscriber.renew();
  }

  /** From now on this channel hears a heartbeat of this process, also when nothing else is to be told. */
  beatOn(channel: string): void {
    this.#channels.add(channel);
  }

  /** Ends all connections. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) {
      timer.cancel();
    }
    this.#fence?.cancel();
    this.#listener = undefined;
    await this.#servers.close();
  }

  async #inTime(work: Promise<void>): Promise<void> {
    const { clock, connectTimeoutMs } = this.#options;
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = clock.setTimer(connectTimeoutMs, () => reject(new Error(`No answer within ${connectTimeoutMs} ms.`)));
    });
    try {
      await Promise.race([work, late]);
    } finally {
      timer?.cancel();
    }
  }

  async #comeTogether(generation: number, key: string, channel: string): Promise<void> {
    await this.#looking.run();
    if (generation !== this.#generation.current) {
      await this.tell('smartpulseEvict', key, { channel, source: PROCESS_SOURCE });
    }
  }

  /**
   * Another master took over, and another process may have loaded there what this one changed at the old one, which took the change along: whatever was changed
   * lately is evicted from the new one.
   */
  async #repeat(redis: Redis): Promise<void> {
    const changes = this.#changes.list(this.#options.clock.monotonic());
    await Promise.all(
      changes.map(({ key, channel }) =>
        runScript(
          redis,
          'smartpulseEvict',
          [this.stored(key)],
          [channel, messageHead(this.sequences.next(channel, PROCESS_SOURCE))],
        ),
      ),
    );
  }

  #begun(): void {
    this.#listener?.onNewGeneration();
    if (this.#target.kind === 'cluster' && this.#closing === undefined) {
      // The server whose clock it is may be another one; until the fence is open, nobody asks.
      this.#readClock().catch((error: unknown) => this.#logger.debug(`Redis did not answer (${String(error)}).`));
    }
    const { fencedMs } = this.#generation;
    if (fencedMs > 0 && this.#closing === undefined) {
      const { clock } = this.#options;
      this.#fence?.cancel();
      this.#fence = clock.setTimer(fencedMs, () => this.#recovered(), { unref: true });
    }
  }

  #recovered(): void {
    for (const call of this.#recoveries) {
      call();
    }
  }

  #changed(): void {
    const { whole } = this.#servers;
    if (whole === this.#whole) {
      return;
    }
    this.#whole = whole;
    if (!whole) {
      this.#listener?.onLost('A connection to Redis was lost.');
      return;
    }
    this.#listener?.onReady();
    this.#recovered();
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

  /** By every lane, so that the last message of each is missed if it was lost, and a lane that is cut off falls silent. */
  async #beat(): Promise<void> {
    const channels = new Set([...this.#channels, ...this.sequences.channels]);
    const nowMs = this.#options.clock.monotonic();
    this.beatsMs = new Map(this.#servers.lanes.map(({ name }) => [name, nowMs]));
    const beats = this.#servers.lanes.flatMap(({ name, redis }) =>
      [...channels].map((channel) =>
        redis.publish(channel, plainMessage(this.sequences.last(channel, PROCESS_SOURCE, name), 'heartbeat')),
      ),
    );
    const failed = (await Promise.allSettled(beats)).find((beat) => beat.status === 'rejected');
    if (failed !== undefined) {
      throw failed.reason;
    }
  }

  /** The offset of the narrowest of a few round trips is off by half of that trip at most. */
  async #readClock(read: () => Promise<readonly unknown[]> = () => this.#servers.time()): Promise<void> {
    const { clock } = this.#options;
    let narrowestMs = Infinity;
    for (let sample = 0; sample < 3; sample++) {
      const beforeMs = clock.monotonic();
      // oxlint-disable-next-line no-await-in-loop -- one round trip after the other
      const [seconds, micros] = await read();
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
