import { ConfigurationError } from '@smartpulse/resilience';
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import type { RedisClientTemplate } from '../../redis-cache.options.js';
import { namesSeveralServers, readRedisUrl, type RedisAddress, type RedisUrl, RedisUrlProblem } from './redis-url.js';

/** Where connections lead and how they are made: to one server (or the one that sentinels name), or to the nodes of a cluster. */
export type RedisTarget =
  | {
      readonly kind: 'server';
      /** Without credentials. */
      readonly description: string;
      open(own: RedisOptions): Redis;
    }
  | {
      readonly kind: 'cluster';
      readonly description: string;
      /** Finds out where to begin. */
      reach(): Promise<ClusterAccess>;
    };

/** How the nodes of a cluster are reached. */
export interface ClusterAccess {
  readonly seeds: readonly RedisAddress[];
  open(address: RedisAddress, own: RedisOptions): Redis;
  /** What a node calls itself is not what it is reached by everywhere. */
  translate(address: RedisAddress): RedisAddress;
}

/** What none of our connections may take over from a client of the app's: they bring commands and messages as they are, and end when they are lost. */
const OURS: RedisOptions & { readonly replyMapping: 'legacy' } = Object.freeze({
  lazyConnect: true,
  retryStrategy: null,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  enableOfflineQueue: false,
  enableReadyCheck: true,
  maxRetriesPerRequest: 0,
  keyPrefix: '',
  readOnly: false,
  monitor: false,
  stringNumbers: false,
  // Of ioredis 6: answers have the form that they have in 5, whichever protocol is spoken.
  replyMapping: 'legacy',
  commandTimeout: undefined,
  keepAlive: 30_000,
  role: 'master',
  sentinelRetryStrategy: () => null,
  failoverDetector: true,
});

/** The target of a URL that was checked. */
export function targetOfUrl(url: string): RedisTarget {
  if (!namesSeveralServers(url)) {
    const { protocol, host } = new URL(url);
    return {
      kind: 'server',
      description: `Redis at ${protocol}//${host}`,
      open: (own) => new Redis(url, { ...OURS, ...own }),
    };
  }
  const read = readRedisUrl(url);
  if (read instanceof RedisUrlProblem) {
    throw new ConfigurationError('RedisCacheModule', [{ option: 'url', problem: read.text }]);
  }
  return read.kind === 'sentinel' ? targetOfSentinels(read) : targetOfSeeds(read);
}

function targetOfSentinels(url: Extract<RedisUrl, { kind: 'sentinel' }>): RedisTarget {
  const { sentinels, masterName, database, tls, login, sentinelLogin } = url;
  const options: RedisOptions = {
    ...OURS,
    ...login,
    sentinels: sentinels.map(({ host, port }) => ({ host, port })),
    name: masterName,
    db: database,
    sentinelUsername: sentinelLogin.username,
    sentinelPassword: sentinelLogin.password,
    ...(tls ? { tls: {}, enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  };
  return {
    kind: 'server',
    description: `Redis master "${masterName}" of the sentinels ${named(sentinels)}`,
    open: (own) => new Redis({ ...options, ...own }),
  };
}

function targetOfSeeds({ seeds, tls, login }: Extract<RedisUrl, { kind: 'cluster' }>): RedisTarget {
  return {
    kind: 'cluster',
    description: `Redis Cluster at ${named(seeds)}`,
    reach: async () => ({
      seeds,
      open: ({ host, port }, own) => new Redis({ ...OURS, ...login, ...(tls ? { tls: {} } : {}), host, port, ...own }),
      translate: (address) => address,
    }),
  };
}

/**
 * The target of a client that the app has: it is asked for duplicates, and otherwise left alone.
 *
 * @throws ConfigurationError when it is not a client of `ioredis`.
 */
export function targetOfClient(client: RedisClientTemplate): RedisTarget {
  if (isCluster(client)) {
    return { kind: 'cluster', description: "Redis Cluster of the app's client", reach: () => reachAs(client) };
  }
  if (isRedis(client)) {
    const { sentinels, name, host, port } = client.options;
    return {
      kind: 'server',
      description: sentinels
        ? `Redis master "${name ?? ''}" of the sentinels of the app's client`
        : `Redis at ${host ?? ''}:${port ?? ''}, as the app's client`,
      open: (own) => client.duplicate({ ...OURS, ...own }),
    };
  }
  throw new ConfigurationError('RedisCacheModule', [
    { option: 'client', problem: 'expected a Redis or a Cluster of the package ioredis' },
  ]);
}

/** A duplicate looks around once: it knows the hosts behind service records and translated addresses, and how nodes are logged in to. */
async function reachAs(client: Cluster): Promise<ClusterAccess> {
  const scout = client.duplicate([], { lazyConnect: true, clusterRetryStrategy: null, enableOfflineQueue: false });
  let failure: unknown;
  scout.on('error', (error) => {
    failure = error;
  });
  try {
    await scout.connect();
    const nodes = scout.nodes('all');
    const [first] = nodes;
    if (first === undefined) {
      throw new Error('The cluster has no node.');
    }
    return {
      seeds: nodes.map(({ options }) => ({ host: options.host ?? 'localhost', port: options.port ?? 6_379 })),
      open: ({ host, port }, own) => first.duplicate({ ...OURS, host, port, ...own }),
      translate: (address) => translated(address, scout.options.natMap),
    };
  } catch (error) {
    throw failure ?? error;
  } finally {
    scout.disconnect();
  }
}

function translated({ host, port }: RedisAddress, map: ClusterOptions['natMap']): RedisAddress {
  const name = `${host}:${port}`;
  return (typeof map === 'function' ? map(name) : map?.[name]) ?? { host, port };
}

function named(addresses: readonly RedisAddress[]): string {
  return addresses.map(({ host, port }) => `${host}:${port}`).join(', ');
}

/** Also of another copy of the package than the one that is loaded here. */
function isRedis(client: RedisClientTemplate): client is Redis {
  return client instanceof Redis || (!client.isCluster && 'sentinel' in client && 'psubscribe' in client);
}

function isCluster(client: RedisClientTemplate): client is Cluster {
  return client instanceof Cluster || (client.isCluster && 'nodes' in client);
}
