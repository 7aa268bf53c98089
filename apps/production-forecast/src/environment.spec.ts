import { describe, expect, it } from 'vitest';
import { readEnvironment } from './environment.js';

describe('readEnvironment', () => {
  it('listens on 3000 and keeps nothing on disk where nothing is set', () => {
    expect(readEnvironment({})).toEqual({ port: 3000, databaseFile: ':memory:' });
  });

  it('keeps the embedded database in a file', () => {
    const env = { DATABASE_URL: 'sqlite:./data/app.db', PORT: '0' };
    expect(readEnvironment(env)).toEqual({ port: 0, databaseFile: './data/app.db' });
  });

  it('starts in production only with every embedded part allowed', () => {
    const production = { NODE_ENV: 'production' };
    expect(() => readEnvironment({ ...production, ALLOW_EMBEDDED: 'pulsar,redis' })).toThrow(/DATABASE_URL/);
    expect(() => readEnvironment({ ...production, ALLOW_EMBEDDED: 'pulsar,redis,database' })).not.toThrow();
  });
});
