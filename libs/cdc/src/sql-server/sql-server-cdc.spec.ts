import { ConfigurationError } from '@smartpulse/resilience';
import { describe, expect, it } from 'vitest';
import { CdcModule } from '../cdc.module.js';
import { targetOf } from './pool/connection-target.js';
import { MssqlPool } from './pool/mssql.pool.js';
import { SqlServerDriverMissingError } from './sql-server.errors.js';
import { sqlServerCdc } from './sql-server-cdc.js';
import type { SqlServerCdcOptions } from './sql-server.options.js';

const URL_ = 'mssql://cdc:s%3Acret@sql.internal:1433/forecasts';

function issuesOf(options: SqlServerCdcOptions): readonly string[] {
  try {
    sqlServerCdc(options);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigurationError)) {
      throw error;
    }
    expect(error.message).not.toContain('cret');
    return error.issues.map(({ option, problem }) => `${option}: ${problem}`);
  }
}

describe('sqlServerCdc', () => {
  it('makes all parts of a module without connecting, and closes what was never opened', async () => {
    const parts = sqlServerCdc({ name: 'forecasts', url: URL_ });
    expect(() => CdcModule.forRoot(parts)).not.toThrow();
    expect(parts.source.name).toBe('forecasts');
    expect(parts.checkpoints.durable).toBe(true);
    await parts.source.close();
    await parts.source.close();
  });

  it.each([
    [{ name: 'no good', url: URL_ }, /^name: /],
    [{ name: 'a' }, /^url: expected either url or pool/],
    [{ name: 'a', url: 'postgres://x/y' }, /^url: expected the protocol mssql/],
    [{ name: 'a', url: 'mssql://u:s%3Acret@host' }, /^url: expected a host and one database/],
    [{ name: 'a', url: 's%3Acret' }, /^url: expected mssql:/],
    [{ name: 'a', url: `${URL_}?encrypt=maybe` }, /^url: expected true or false for the parameter encrypt/],
    [{ name: 'a', url: `${URL_}?readOnly=true` }, /^url: has the unknown parameter "readOnly"/],
    [{ name: 'a', url: `${URL_}?instanceName=X` }, /^url: expected a port or instanceName/],
    [{ name: 'a', url: URL_, schema: 'a.b' }, /^schema: /],
    [{ name: 'a', url: URL_, columns: { stock: ['id'] } }, /^columns/],
    [{ name: 'a', url: URL_, requestTimeoutMs: 60_000 }, /^requestTimeoutMs: expected at most leaseTtlMs/],
    [{ name: 'a', url: URL_, errorClasses: { numbers: { 1: 'odd' as never } } }, /^errorClasses\.numbers/],
    [{ name: 'a', url: URL_, poolsize: 3 } as SqlServerCdcOptions, /poolsize/],
  ] as const)('refuses %j by the name of the option', (options, expected) => {
    expect(issuesOf(options).join('\n')).toMatch(expected);
  });

  it('takes special characters in a URL, and an address of IPv6', () => {
    expect(targetOf('mssql://a%40b:p%2Fw@[::1]/my%20db?encrypt=false&trustServerCertificate=true', 'test')).toEqual({
      server: '::1',
      port: undefined,
      instanceName: undefined,
      database: 'my db',
      user: 'a@b',
      password: 'p/w',
      encrypt: false,
      trustServerCertificate: true,
    });
  });

  it('says how to install the driver where it is missing', async () => {
    const pool = new MssqlPool({
      target: targetOf(URL_, 'test'),
      size: 1,
      connectTimeoutMs: 100,
      requestTimeoutMs: 100,
      applicationName: 'test',
      load: () => Promise.reject(new SqlServerDriverMissingError(new Error('not found'))),
    });
    await expect(pool.run({ name: 'any', sql: 'SELECT 1', parameters: [] })).rejects.toThrow(/npm install mssql@12/);
    await pool.close();
  });
});
