import type { Clock, Random } from '@smartpulse/resilience';
import type { Redis, RedisOptions } from 'ioredis';
import { isOfMany, SCRIPTS } from '../entries/commands.js';
import type { RedisAddress } from './redis-url.js';
import type { ServerConnection } from './server-connection.js';
import type { ServerGeneration } from './server-generation.js';

/** What {@link RedisServers} are made with. */
export interface ServersContext {
  readonly prefix: string;
  /** How long one attempt to connect may take, milliseconds. */
  readonly connectTimeoutMs: number;
  /** A command that is not answered for so long has lost its connection, milliseconds. */
  readonly silentMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly generation: ServerGeneration;
  /** {@link RedisServers.whole} may be another one. */
  readonly onChange: () => void;
  /** A connection to another life of the one server is there: what is done by it before anybody asks. */
  readonly onNewLife: (redis: Redis) => Promise<void>;
  /** A connection for messages is there; nothing is subscribed on it. */
  readonly onSubscriber: (redis: Redis) => void;
}

/** A way by which messages of this process leave: what goes by one of them arrives in order, and arrives as long as its server is heard of. */
export interface Lane {
  /** One word; empty where there is only one. */
  readonly name: string;
  readonly redis: Redis;
}

/** One step of a walk over keys. */
export interface ScanStep {
  /** `0`: the walk has ended. */
  readonly cursor: string;
  readonly keys: readonly string[];
}

/** Who has a key at the moment, and how one more connection to it is made. */
export interface KeyHolder {
  /** `undefined`: wherever the target leads to. */
  readonly address: RedisAddress | undefined;
  open(own: RedisOptions): Redis;
}

/**
 * The servers behind a target, as one. An implementer guarantees: no command is sent to a server before the generation that its life leads to is taken up.
 */
export abstract class RedisServers {
  /** The connection that brings messages. */
  abstract readonly subscriber: ServerConnection;
  /** Every server that holds keys can be asked, and the connection for messages stands beside them. */
  abstract readonly whole: boolean;
  /** By all servers that can be asked. */
  abstract readonly lanes: readonly Lane[];

  /** Connects; rejects when the store cannot be used at all. */
  abstract start(): Promise<void>;
  /** Like {@link send}, for a key whose name has the generation in it: the command is called when that may be used. */
  abstract run<T>(key: string, command: (redis: Redis) => Promise<T>): Promise<T>;
  /** Sends a command that concerns one key to the server that holds it. It is sent again where a server answers that it does not hold it. */
  abstract send<T>(key: string, command: (redis: Redis) => Promise<T>): Promise<T>;
  /** The lane of what {@link run} sends for this key. */
  abstract laneOf(key: string): string;
  /** Keys lie in the slots of a cluster. */
  abstract readonly hasSlots: boolean;
  /** @throws {@link NotConnectedError} when nobody is known to have it. */
  abstract holderOf(key: string): KeyHolder;
  /** Who has the key, as the error of a server says that was asked for it; `undefined`: the error speaks of another slot, or of none. */
  abstract redirected(
    error: Error,
    key: string,
    from: KeyHolder,
  ): Promise<{ readonly holder: KeyHolder; readonly asks: boolean } | undefined>;
  /** One step of a walk that meets every key that is there from its beginning to its end. */
  abstract scan(cursor: string, pattern: string, count: number): Promise<ScanStep>;
  /** Looks whether the servers still are who they were, and takes up the generation. */
  abstract look(): Promise<void>;
  /** The server's clock. */
  abstract time(): Promise<readonly [seconds: string, micros: string]>;
  abstract close(): Promise<void>;
}

/** Of a connection for data. */
export function dataOptions({ connectTimeoutMs, silentMs }: ServersContext): RedisOptions {
  return {
    connectTimeout: connectTimeoutMs,
    socketTimeout: silentMs,
    // The cache gathers them itself, at the end of a turn: in a pipeline of the client's they would wait for another one.
    autoPipeliningIgnoredCommands: ['get', 'mget', 'smartpulseSetEach'],
    scripts: Object.fromEntries(
      Object.entries(SCRIPTS).map(([name, lua]) => [name, isOfMany(name) ? { lua } : { lua, numberOfKeys: 1 }]),
    ),
    // A master that became a replica: go and look for the new one.
    reconnectOnError: ({ message }) => message.startsWith('READONLY'),
  };
}

/** Of a connection for messages. */
export function subscriberOptions({ connectTimeoutMs, silentMs }: ServersContext): RedisOptions {
  return { connectTimeout: connectTimeoutMs, socketTimeout: silentMs, enableAutoPipelining: false };
}

/** So that a command by digest finds them also where a connection has not sent them yet. */
export async function loadScripts(redis: Redis): Promise<void> {
  await Promise.all(Object.values(SCRIPTS).map((lua) => redis.script('LOAD', lua)));
}
