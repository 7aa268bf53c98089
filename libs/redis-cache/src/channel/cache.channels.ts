import { REDIS_CACHE_DEFAULTS } from '../redis-cache.options.js';
import type { CacheConnection } from '../registry/cache.connection.js';
import type { CacheConnections } from '../registry/cache.connections.js';
import { CacheChannel } from './cache.channel.js';
import { openChannelTransport } from './open-channel-transport.js';

/** The channels of an app, one for each connection; each connects at its first use. */
export class CacheChannels {
  readonly #connections: CacheConnections;
  readonly #channels: ReadonlyMap<CacheConnection, CacheChannel>;

  constructor(connections: CacheConnections) {
    this.#connections = connections;
    this.#channels = new Map(connections.list().map((connection) => [connection, channelOf(connection)]));
  }

  /** @param connection default: that of the default one. @throws ConfigurationError when there is no such connection. */
  get(connection?: string): CacheChannel {
    const channel = this.#channels.get(this.#connections.get(connection));
    if (channel === undefined) {
      throw new TypeError('A connection has no channel.');
    }
    return channel;
  }

  /** With the connection of each. */
  list(): readonly (readonly [CacheConnection, CacheChannel])[] {
    return [...this.#channels];
  }
}

function channelOf({ options, prefix, nodeId, clock, random }: CacheConnection): CacheChannel {
  return new CacheChannel({
    open: () => openChannelTransport(options, clock, random),
    prefix,
    source: nodeId,
    heartbeatMs: options.heartbeatMs ?? REDIS_CACHE_DEFAULTS.heartbeatMs,
    clock,
    random,
  });
}
