import { describe, expect, it } from 'vitest';
import { readRedisUrl, RedisUrlProblem } from './redis-url.js';

describe('a URL of several Redis servers', () => {
  it('names sentinels, the master that they know, and the database behind it', () => {
    expect(readRedisUrl('redis+sentinel://app:p%40ss@one:26380,two,[::1]:26381/my%20master/3')).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: 'one', port: 26_380 },
        { host: 'two', port: 26_379 },
        { host: '::1', port: 26_381 },
      ],
      masterName: 'my master',
      database: 3,
      tls: false,
      login: { username: 'app', password: 'p@ss' },
      sentinelLogin: { username: undefined, password: undefined },
    });
  });

  it('tells the login of the sentinels from that of the servers behind them', () => {
    expect(readRedisUrl('rediss+sentinel://:data@one/m?sentinel_username=s&sentinel_password=watch')).toMatchObject({
      tls: true,
      login: { username: undefined, password: 'data' },
      sentinelLogin: { username: 's', password: 'watch' },
    });
  });

  it('names some nodes of a cluster', () => {
    expect(readRedisUrl('rediss+cluster://u@one,two:7001')).toEqual({
      kind: 'cluster',
      seeds: [
        { host: 'one', port: 6_379 },
        { host: 'two', port: 7_001 },
      ],
      tls: true,
      login: { username: 'u', password: undefined },
    });
    expect(readRedisUrl('redis+cluster://one:7001/')).toMatchObject({ kind: 'cluster', login: {} });
  });

  it.each([
    ['redis+sentinel://secret@one', /name of the master/],
    ['redis+sentinel://secret@one/', /name of the master/],
    ['redis+sentinel://secret@one/m/first', /number of the database/],
    ['redis+sentinel://secret@one/m/1/2', /number of the database/],
    ['redis+sentinel://secret@one/m?family=6', /hand in a client/],
    ['redis+sentinel://secret@one,/m', /host\[:port\]/],
    ['redis+sentinel://secret@one:0/m', /host\[:port\]/],
    ['redis+sentinel://secret@one:65536/m', /host\[:port\]/],
    ['redis+sentinel://sec%ret@one/m', /percent-encoded/],
    ['redis+sentinel:///m', /host\[:port\]/],
    ['redis+cluster://secret@', /host\[:port\]/],
    ['redis+cluster://secret@one/1', /database 0/],
    ['redis+cluster://secret@one?a=b', /hand in a client/],
    ['redis+cluster://secret@one two', /host\[:port\]/],
    ['redis+replicas://secret@one', /expected redis\+sentinel/],
  ])('is refused with what to mend when it is %s, and never repeated', (url, problem) => {
    const read = readRedisUrl(url);
    expect(read).toBeInstanceOf(RedisUrlProblem);
    expect(read).toMatchObject({ text: expect.stringMatching(problem) });
    expect(read).not.toMatchObject({ text: expect.stringMatching(/secret|sec%ret/) });
  });
});
