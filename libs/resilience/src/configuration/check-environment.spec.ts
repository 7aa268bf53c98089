import { describe, expect, it } from 'vitest';
import { checkEnvironment } from './check-environment.js';

function read(env: NodeJS.ProcessEnv): object {
  const environment = checkEnvironment(env, {
    ports: { PORT: 3000 },
    systems: { pulsar: ['memory:'], database: ['memory:', 'sqlite:'] },
  });
  return {
    port: environment.port('PORT'),
    pulsar: environment.url('pulsar'),
    database: environment.url('database'),
  };
}

describe('checkEnvironment', () => {
  it('is embedded and on the default port where nothing is set, or set to nothing', () => {
    const nothing = { port: 3000, pulsar: 'memory://', database: 'memory://' };
    expect(read({})).toEqual(nothing);
    expect(read({ PULSAR_URL: '', PORT: '' })).toEqual(nothing);
  });

  it('takes any scheme that the app can use', () => {
    expect(read({ DATABASE_URL: 'sqlite:./data/forecast.db', PORT: '0' })).toEqual({
      port: 0,
      pulsar: 'memory://',
      database: 'sqlite:./data/forecast.db',
    });
  });

  it('refuses what the app cannot use, by variable and without its address', () => {
    const refused = (): unknown => read({ PULSAR_URL: 'pulsar://user:secret@host:6650' });
    expect(refused).toThrow(/PULSAR_URL.*memory:.*leave it unset/);
    expect(refused).not.toThrow(/secret/);
    expect(() => read({ DATABASE_URL: 'sqlite:' })).toThrow(/DATABASE_URL/);
  });

  it('refuses embedded systems in production unless each is allowed by name', () => {
    const production = { NODE_ENV: 'production', DATABASE_URL: 'sqlite:./data/forecast.db' };
    expect(() => read({ ...production, ALLOW_EMBEDDED: 'pulsar' })).toThrow(/DATABASE_URL.*ALLOW_EMBEDDED/);
    expect(() => read({ ...production, ALLOW_EMBEDDED: 'pulsar, database' })).not.toThrow();
  });

  it.each(['65536', '-1', '3000x', 'http'])('refuses the port %s', (PORT) => {
    expect(() => read({ PORT })).toThrow(/PORT.*expected a port/);
  });

  it('knows yes and no of switches, and refuses what is neither', () => {
    const on = (MIGRATE: string | undefined): boolean =>
      checkEnvironment({ MIGRATE }, { ports: {}, systems: {}, switches: ['MIGRATE'] }).isOn('MIGRATE');
    expect([undefined, '', '0', '1'].map(on)).toEqual([false, false, false, true]);
    expect(() => on('true')).toThrow(/MIGRATE.*expected 1 for yes, or 0 for no/);
  });

  it('names everything that is wrong at once', () => {
    expect(() => read({ PORT: 'x', PULSAR_URL: 'http://host', DATABASE_URL: 'mssql://host' })).toThrow(
      /PORT.*PULSAR_URL.*DATABASE_URL/,
    );
  });
});
