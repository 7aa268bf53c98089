import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { CacheServerFullError } from '../redis-cache.errors.js';
import { EntryVersion } from '../version/entry-version.js';
import { EmbeddedCacheServer } from './embedded-cache.server.js';

const ORIGIN = { channel: 'c', source: 'a', synced: false };
const write = (key: string, version = 1, payload = '1') => ({
  ...ORIGIN,
  key,
  payload,
  version: new EntryVersion(1n, BigInt(version)),
  ttlMs: 60_000,
});

describe('EmbeddedCacheServer', () => {
  it('forgets the key unused for longest when it is full, and counts it', () => {
    const server = new EmbeddedCacheServer({ clock: new VirtualClock(), maxEntries: 2 });
    server.set(write('a'));
    server.set(write('b'));
    server.get('a');
    server.set(write('c'));
    expect(server.get('a')?.kind).toBe('value');
    expect(server.get('b')).toBeUndefined();
    expect(server.stats()).toMatchObject({ entries: 2, evicted: 1 });
  });

  it('refuses a write when it is full and its policy says so, and leaves what it holds as it was', () => {
    const server = new EmbeddedCacheServer({ clock: new VirtualClock(), maxEntries: 1, whenFull: 'refuse' });
    server.set(write('a'));
    expect(() => server.set(write('b'))).toThrow(CacheServerFullError);
    expect(server.set(write('a', 2)).outcome).toBe('applied');
    expect(server.stats()).toMatchObject({ entries: 1, evicted: 0 });
  });

  it('is bounded by bytes and gives them back', async () => {
    const clock = new VirtualClock();
    const server = new EmbeddedCacheServer({ clock, maxBytes: 5_000 });
    for (let key = 0; key < 20; key++) {
      server.set(write(`k${key}`, 1, 'x'.repeat(400)));
    }
    expect(server.stats().bytes).toBeLessThanOrEqual(5_000);
    expect(server.stats().evicted).toBeGreaterThan(10);
    expect(() => server.set(write('huge', 1, 'x'.repeat(4_000)))).toThrow(CacheServerFullError);
    await clock.advance(60_001);
    for (let key = 0; key < 20; key++) {
      server.get(`k${key}`);
    }
    expect(server.stats()).toMatchObject({ entries: 0, bytes: 0 });
  });

  it('delivers outside of the request, in order, and says what is on its way', async () => {
    const clock = new VirtualClock();
    const server = new EmbeddedCacheServer({ clock });
    const heard: string[] = [];
    await server.subscribe('c', {
      onMessage: ({ key }) => heard.push(key),
      onTrusted: () => {},
      onUntrusted: (reason) => heard.push(reason),
    });
    server.set(write('a'));
    server.set(write('b'));
    expect(heard).toEqual([]);
    expect(server.stats()).toMatchObject({ published: 2, pending: 2 });
    await clock.settle();
    expect(heard).toEqual(['a', 'b']);
    expect(server.stats()).toMatchObject({ delivered: 2, pending: 0 });
  });

  it('logs the failure of a listener and goes on to the next one', async () => {
    const logged = vi.spyOn(Logger.prototype, 'error').mockImplementation(() => {});
    const clock = new VirtualClock();
    const server = new EmbeddedCacheServer({ clock });
    const heard: string[] = [];
    const listener = (onMessage: (key: string) => void) => ({
      onMessage: ({ key }: { key: string }) => onMessage(key),
      onTrusted: () => {},
      onUntrusted: () => {},
    });
    await server.subscribe(
      'c',
      listener(() => {
        throw new Error('broken');
      }),
    );
    await server.subscribe(
      'c',
      listener((key) => heard.push(key)),
    );
    server.set(write('a'));
    server.set(write('b'));
    await clock.settle();
    expect(heard).toEqual(['a', 'b']);
    expect(logged).toHaveBeenCalledTimes(2);
    logged.mockRestore();
  });

  it('tells its subscribers that it closes, and refuses requests afterwards', async () => {
    const server = new EmbeddedCacheServer({ clock: new VirtualClock() });
    const heard: string[] = [];
    await server.subscribe('c', {
      onMessage: () => {},
      onTrusted: () => {},
      onUntrusted: (reason) => heard.push(reason),
    });
    server.close();
    expect(heard).toHaveLength(1);
    expect(() => server.get('a')).toThrow('closed');
  });

  it('refuses bounds that bound nothing', () => {
    expect(() => new EmbeddedCacheServer({ clock: new VirtualClock(), maxEntries: 0 })).toThrow(ConfigurationError);
  });
});
