import { ConfigurationError } from '@smartpulse/resilience';
import { describe, expect, it } from 'vitest';
import { sqlServerDataSource } from './data-source-options.js';

describe('sqlServerDataSource', () => {
  it('takes host, login and database of the URL, and encrypts unless it says otherwise', () => {
    expect(sqlServerDataSource({ name: 'app', url: 'mssql://a%40b:p%2Fw@sql/my%20db', entities: [] })).toMatchObject({
      type: 'mssql',
      host: 'sql',
      username: 'a@b',
      password: 'p/w',
      database: 'my db',
      synchronize: false,
      options: { encrypt: true, trustServerCertificate: false, appName: 'app', useUTC: true },
    });
    const url = 'mssql://sa:x@[::1]:1444/db?encrypt=false&trustServerCertificate=true';
    expect(sqlServerDataSource({ name: 'app', url, entities: [], poolSize: 3 })).toMatchObject({
      host: '::1',
      port: 1444,
      pool: { max: 3 },
      options: { encrypt: false, trustServerCertificate: true },
    });
  });

  it.each([
    ['mssql://sa:hunter2@sql', 'one database'],
    ['mysql://sa:hunter2@sql/db', 'protocol mssql:'],
    ['mssql://sa:hunter2@sql/db?encrypt=maybe', 'true or false for the parameter encrypt'],
    ['mssql://sa:hunter2@sql/db?trust=true', 'known are encrypt, trustServerCertificate'],
    ['mssql://sa:hunter2%@sql/db', '%25'],
    ['hunter2', 'mssql://user:password@host:port/database'],
  ])('refuses %s, says how to mend it and does not repeat it', (url, remedy) => {
    const make = (): unknown => sqlServerDataSource({ name: 'app', url, entities: [] });
    expect(make).toThrow(ConfigurationError);
    expect(make).toThrow(remedy);
    expect(make).not.toThrow(/hunter2/);
  });
});
