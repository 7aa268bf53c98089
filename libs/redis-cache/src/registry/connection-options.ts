import type { ConfigurationIssue } from '@smartpulse/resilience';
import {
  type RedisAddress,
  readRedisUrl,
  RedisUrlProblem,
  namesSeveralServers,
} from '../redis/connection/redis-url.js';
import type { CacheConnectionOptions, RedisCacheModuleOptions } from '../redis-cache.options.js';

/** The name of the connection that the options at the top describe. */
export const DEFAULT_CONNECTION = 'default';

/** In front of keys where none is named, which `memory://` alone allows. */
export const DEFAULT_PREFIX = 'app';

const PORT = 6_379;

/** What is said of a connection among several, in front of what is said of one: nothing where it is the default one. */
export function pathOf(connection: string): string {
  return connection === DEFAULT_CONNECTION ? '' : `connections.${connection}.`;
}

/** The connections that the options describe, by name; the default one is the first. */
export function connectionsOf(options: RedisCacheModuleOptions): ReadonlyMap<string, CacheConnectionOptions> {
  const { connections = {}, ...own } = options;
  return new Map([
    [DEFAULT_CONNECTION, own],
    ...Object.entries(connections).map(([name, named]): [string, CacheConnectionOptions] => [
      name,
      { ...named, prefix: named.prefix ?? own.prefix },
    ]),
  ]);
}

/** Two connections of one prefix to one server would handle each other's messages, and be one another's first writer of a generation. */
export function problemsOfShared(
  connections: ReadonlyMap<string, CacheConnectionOptions>,
): readonly ConfigurationIssue[] {
  const taken = new Map<unknown, Map<string, string>>();
  const issues: ConfigurationIssue[] = [];
  for (const [name, options] of connections) {
    const { prefix = DEFAULT_PREFIX } = options;
    const others = new Set<string>();
    for (const place of placesOf(options)) {
      const prefixes = taken.get(place) ?? new Map<string, string>();
      const other = prefixes.get(prefix);
      if (other === undefined) {
        taken.set(place, prefixes.set(prefix, name));
      } else if (other !== name) {
        others.add(other);
      }
    }
    for (const other of others) {
      issues.push({
        option: `${pathOf(name)}prefix`,
        problem: `"${prefix}" is that of the connection "${other}", too, at the same server; give one of them another prefix, or use one connection`,
      });
    }
  }
  return issues;
}

/** What two connections are compared by: addresses as they are written, and objects of the app's. */
function placesOf({ url, client, server, store, bus }: CacheConnectionOptions): readonly unknown[] {
  const own = [client, server, store, bus].filter((one) => one !== undefined);
  return [
    ...own,
    ...(url === undefined ? [] : addressesOf(url)),
    ...(client === undefined ? [] : ofClient(client.options)),
  ];
}

function addressesOf(url: string): readonly string[] {
  if (namesSeveralServers(url)) {
    const read = readRedisUrl(url);
    if (read instanceof RedisUrlProblem) {
      return [];
    }
    return read.kind === 'cluster'
      ? read.seeds.map(written)
      : read.sentinels.map((sentinel) => `${read.masterName} of ${written(sentinel)}`);
  }
  if (url.startsWith('memory:') || !URL.canParse(url)) {
    return [];
  }
  const { hostname, port } = new URL(url);
  return [written({ host: hostname, port: port === '' ? PORT : Number(port) })];
}

function ofClient(options: object): readonly string[] {
  const host = 'host' in options ? options.host : undefined;
  const port = 'port' in options ? options.port : undefined;
  const hasSentinels = 'sentinels' in options && options.sentinels !== null && options.sentinels !== undefined;
  return typeof host === 'string' && typeof port === 'number' && !hasSentinels ? [written({ host, port })] : [];
}

function written({ host, port }: RedisAddress): string {
  return `${host.toLowerCase()}:${port}`;
}
