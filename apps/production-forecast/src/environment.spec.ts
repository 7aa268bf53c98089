import { describe, expect, it } from 'vitest';
import { readEnvironment } from './environment.js';

const EMBEDDED = {
  broker: undefined,
  cache: undefined,
  database: undefined,
  migrate: false,
  databaseFile: ':memory:',
};

describe('readEnvironment', () => {
  it('listens on 3000 and keeps nothing on disk where nothing is set', () => {
    expect(readEnvironment({})).toEqual({ ...EMBEDDED, port: 3000 });
  });

  it('keeps the embedded database in a file', () => {
    const env = { DATABASE_URL: 'sqlite:./data/app.db', PORT: '0' };
    expect(readEnvironment(env)).toEqual({ ...EMBEDDED, port: 0, databaseFile: './data/app.db' });
  });

  it.each(['pulsar://bus:6650', 'pulsar+ssl://one:6651,two:6651', 'ws://bus:8080', 'wss://bus:8443'])(
    'takes the broker at %s, its namespace and its token',
    (url) => {
      expect(readEnvironment({ PULSAR_URL: url }).broker).toEqual({ url, namespace: 'public/default' });
      const all = { PULSAR_URL: url, PULSAR_NAMESPACE: 'energy/test', PULSAR_TOKEN: 'secret' };
      expect(readEnvironment(all).broker).toEqual({ url, namespace: 'energy/test', token: 'secret' });
    },
  );

  it.each(['pulsar://token:hunter2@bus', 'ws://bus:8080?token=hunter2', 'kafka://hunter2', 'pulsar://'])(
    'refuses the address %s and does not repeat it',
    (url) => {
      const read = (): unknown => readEnvironment({ PULSAR_URL: url });
      expect(read).toThrow(/"PULSAR_URL".*leave it unset/s);
      expect(read).not.toThrow(/hunter2/);
    },
  );

  it.each([
    'redis://cache',
    'redis://:hunter2@cache:6380/3',
    'rediss://app:hunter2@cache',
    'redis+sentinel://app:hunter2@one,two:26380/main/3',
    'rediss+cluster://one:7000,two:7000',
  ])('takes Redis at %s', (url) => {
    expect(readEnvironment({ REDIS_URL: url }).cache).toEqual({ url, freeze: true });
    const production = { NODE_ENV: 'production', ALLOW_EMBEDDED: 'pulsar,database' };
    expect(readEnvironment({ ...production, REDIS_URL: url }).cache).toEqual({ url, freeze: false });
  });

  it.each(['redis://', 'redis://host name', 'redis+replicas://hunter2', 'http://hunter2'])(
    'refuses Redis at %s and does not repeat it',
    (url) => {
      const read = (): unknown => readEnvironment({ REDIS_URL: url });
      expect(read).toThrow(/"REDIS_URL"/);
      expect(read).not.toThrow(/hunter2/);
    },
  );

  it('takes SQL Server at its address, and migrates it where that is asked', () => {
    const url = 'mssql://app:hunter2@sql:1433/forecasts?encrypt=true&trustServerCertificate=true';
    expect(readEnvironment({ DATABASE_URL: url })).toMatchObject({ database: { url }, migrate: false });
    expect(readEnvironment({ DATABASE_URL: url, DATABASE_MIGRATE: '1' })).toMatchObject({
      database: { url },
      migrate: true,
    });
    expect(() => readEnvironment({ DATABASE_URL: url, DATABASE_MIGRATE: 'yes' })).toThrow(
      /"DATABASE_MIGRATE".*1 for yes/,
    );
    const production = { NODE_ENV: 'production', ALLOW_EMBEDDED: 'pulsar,redis' };
    expect(readEnvironment({ ...production, DATABASE_URL: url }).database).toEqual({ url });
  });

  it.each([
    ['mssql://app:hunter2@sql', 'one database'],
    ['mssql://app:hunter2%@sql/db', '%25'],
    ['mssql://app:hunter2@sql/db?encrypt=perhaps', 'true or false'],
    ['mssql:hunter2', 'a host'],
    ['postgres://app:hunter2@sql/db', 'mssql:'],
  ])('refuses the database at %s, says how to mend it and does not repeat it', (url, remedy) => {
    const read = (): unknown => readEnvironment({ DATABASE_URL: url });
    expect(read).toThrow(/"DATABASE_URL"/);
    expect(read).toThrow(remedy);
    expect(read).not.toThrow(/hunter2/);
  });

  it('starts in production only with every embedded part allowed', () => {
    const production = { NODE_ENV: 'production' };
    expect(() => readEnvironment({ ...production, ALLOW_EMBEDDED: 'pulsar,redis' })).toThrow(/DATABASE_URL/);
    expect(() => readEnvironment({ ...production, ALLOW_EMBEDDED: 'pulsar,redis,database' })).not.toThrow();
  });
});
