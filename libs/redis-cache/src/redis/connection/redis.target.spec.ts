import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { dataOptions, type ServersContext, subscriberOptions } from './redis.servers.js';
import { ServerGeneration } from './server-generation.js';
import { targetOfClient, targetOfUrl } from './redis.target.js';

const clock = new VirtualClock();
const context: ServersContext = {
  prefix: 'shop',
  connectTimeoutMs: 4_000,
  silentMs: 15_000,
  clock,
  random: new SeededRandom(1),
  generation: new ServerGeneration({ prefix: 'shop', fenceMs: 0, clock, onNew: () => {} }),
  onChange: () => {},
  onNewLife: async () => {},
  onSubscriber: () => {},
};
/** Nothing is sent to another server than the one it was meant for, nothing waits in a queue, nothing is sent twice. */
const OF_ALL = {
  lazyConnect: true,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  connectTimeout: 4_000,
  socketTimeout: 15_000,
  keyPrefix: '',
  replyMapping: 'legacy',
};

function opened(target: ReturnType<typeof targetOfUrl>, own: Parameters<Redis['duplicate']>[0]): Redis['options'] {
  if (target.kind !== 'server') {
    throw new Error('That is a cluster.');
  }
  return target.open(own ?? {}).options;
}

describe('what connections are made with', () => {
  it.each([
    ['one server', 'redis://user:word@cache:6380/2', { host: 'cache', port: 6380, db: 2, username: 'user' }],
    ['one server over TLS', 'rediss://cache', { host: 'cache', tls: true }],
    [
      'the master that sentinels name',
      'redis+sentinel://one:26379,two/main/1',
      { name: 'main', role: 'master', db: 1, failoverDetector: true },
    ],
  ])(
    'for data, of %s: they fail at once while it is away, and leave a master that became a replica',
    (_, url, where) => {
      const options = opened(targetOfUrl(url), { ...dataOptions(context), enableAutoPipelining: true });
      expect(options).toMatchObject({ ...OF_ALL, ...where, enableAutoPipelining: true });
      expect(options.retryStrategy).toBeNull();
      expect(options.reconnectOnError?.(new Error('READONLY You cannot write here.'))).toBe(true);
      expect(options.reconnectOnError?.(new Error('WRONGTYPE'))).toBe(false);
    },
  );

  it('for messages: nothing is subscribed again by the client itself, which would not say when it stands', () => {
    const options = opened(targetOfUrl('redis://cache'), subscriberOptions(context));
    expect(options).toMatchObject({ ...OF_ALL, enableAutoPipelining: false });
    expect(options.retryStrategy).toBeNull();
  });

  it('by a client of the app: where it leads and who it is are taken over, how it behaves is not', () => {
    const client = new Redis({
      host: 'cache',
      port: 6380,
      username: 'user',
      lazyConnect: true,
      keyPrefix: 'app:',
      commandTimeout: 5_000,
      enableOfflineQueue: true,
      maxRetriesPerRequest: 20,
    });
    const options = opened(targetOfClient(client), dataOptions(context));
    expect(options).toMatchObject({ ...OF_ALL, host: 'cache', port: 6380, username: 'user' });
    expect(options.commandTimeout).toBeUndefined();
    expect(client.options).toMatchObject({ keyPrefix: 'app:', maxRetriesPerRequest: 20 });
  });
});
