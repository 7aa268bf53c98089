import { Logger } from '@nestjs/common';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Gate } from '../../testing/test-replicas.js';
import { OfflineRedis, OfflineServer } from '../../testing/twins/offline.redis.js';
import { targetOfClient } from './redis.target.js';
import { NotConnectedError } from './server-connection.js';
import { ServerGeneration } from './server-generation.js';
import { SingleServers } from './single.servers.js';

/** Lets everybody ask while the life of the server is still being settled. */
class SettledLater extends ServerGeneration {
  override async settle(redis: Redis, lives: readonly string[]): Promise<void> {
    const settled = super.settle(redis, lives);
    if (this.current === 0) {
      await settled;
    }
  }
}

/** What readers of one key are shown, in order, by one who asks again and again while an older copy takes over: 0 is nothing. */
async function shownAround(Generation: typeof ServerGeneration): Promise<readonly number[]> {
  const clock = new VirtualClock();
  let server = new OfflineServer('one', clock);
  const generation = new Generation({ prefix: 'shop', fenceMs: 0, clock, onNew: () => {} });
  const target = targetOfClient(new OfflineRedis(() => server));
  if (target.kind !== 'server') {
    throw new Error('That is a cluster.');
  }
  const servers = new SingleServers(target, {
    prefix: 'shop',
    connectTimeoutMs: 5_000,
    silentMs: 15_000,
    clock,
    random: new SeededRandom(1),
    generation,
    onChange: () => {},
    onNewLife: async () => {},
    onSubscriber: () => {},
  });
  await servers.start();
  const shown: number[] = [];
  const read = async (): Promise<void> => {
    try {
      shown.push(Number((await servers.run('k', (redis) => redis.get(`k.${generation.current}`))) ?? 0));
    } catch (error) {
      if (!(error instanceof NotConnectedError)) {
        throw error;
      }
    }
  };
  server.texts.set(`k.${generation.current}`, '1');
  const older = server.copy('two');
  server.texts.set(`k.${generation.current}`, '2');
  await read();
  // What the new master is told to settle takes its time; what else it is asked, it answers at once.
  const settling = new Gate<void>();
  older.weather = (name) => (name === 'eval' ? settling.promise : undefined);
  const before = server;
  server = older;
  before.dropAll();
  await read();
  await clock.advance(100);
  await read();
  settling.open();
  await clock.advance(100);
  await read();
  await servers.close();
  return shown;
}

describe('ServerGeneration', () => {
  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(true));

  it('V6: nobody reads of an older copy that took over before its life is settled, and afterwards nobody finds what it holds', async () => {
    expect(await shownAround(ServerGeneration)).toEqual([2, 0]);
  });

  it('V6 without the rule: a reader goes back to what the older copy holds', async () => {
    expect(await shownAround(SettledLater)).toEqual([2, 1, 0]);
  });
});
