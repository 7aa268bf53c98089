import { describe, expect, it } from 'vitest';
import { readEnvironment } from './environment.js';

describe('readEnvironment', () => {
  it('is embedded, in memory and on port 3000 where nothing is set, or set to nothing', () => {
    expect(readEnvironment({})).toEqual({ port: 3000, databaseFile: ':memory:' });
    expect(readEnvironment({ PULSAR_URL: '', PORT: '' })).toEqual({ port: 3000, databaseFile: ':memory:' });
  });

  it('keeps the embedded database in a file', () => {
    expect(readEnvironment({ DATABASE_URL: 'sqlite:./data/forecast.db', PORT: '0' })).toEqual({
      port: 0,
      databaseFile: './data/forecast.db',
    });
  });

  it('refuses a system whose adapter is not there, by variable and without its address', () => {
    const read = (): unknown => readEnvironment({ PULSAR_URL: 'pulsar://user:secret@host:6650' });
    expect(read).toThrow(/PULSAR_URL.*leave it unset/);
    expect(read).not.toThrow(/secret/);
  });

  it('refuses embedded parts in production unless each is allowed by name', () => {
    expect(() => readEnvironment({ NODE_ENV: 'production', ALLOW_EMBEDDED: 'pulsar, redis' })).toThrow(
      /DATABASE_URL.*ALLOW_EMBEDDED/,
    );
    expect(() => readEnvironment({ NODE_ENV: 'production', ALLOW_EMBEDDED: 'pulsar, redis, database' })).not.toThrow();
  });

  it.each(['65536', '-1', '3000x', 'http'])('refuses the port %s', (PORT) => {
    expect(() => readEnvironment({ PORT })).toThrow(/PORT.*expected a port/);
  });
});
