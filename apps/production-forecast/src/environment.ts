import { sqlServerTargetOf } from '@smartpulse/cdc/sql-server';
import { checkEnvironment, ConfigurationError } from '@smartpulse/resilience';
import { type BrokerAddress, type CacheAddress, type DatabaseAddress } from './production-forecast.parts.js';

/** What the environment says. */
export interface Environment {
  readonly port: number;
  /** Where Pulsar is; `undefined` = embedded in this process. */
  readonly broker: BrokerAddress | undefined;
  /** Where Redis is; `undefined` = embedded in this process. */
  readonly cache: CacheAddress | undefined;
  /** Where SQL Server is; `undefined` = embedded in this process. */
  readonly database: DatabaseAddress | undefined;
  /** Whether what that server lacks is made at the start. */
  readonly migrate: boolean;
  /** Where the embedded database keeps its data; `:memory:` = nowhere. */
  readonly databaseFile: string;
}

const REDIS_SCHEMES = [
  'redis:',
  'rediss:',
  'redis+sentinel:',
  'rediss+sentinel:',
  'redis+cluster:',
  'rediss+cluster:',
] as const;

/**
 * Reads the environment: the only place of the app that does.
 *
 * @throws ConfigurationError that names every variable that is wrong, and never a value.
 */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  // Schemes of real systems join these lists together with their adapters.
  const environment = checkEnvironment(env, {
    ports: { PORT: 3000 },
    systems: {
      pulsar: ['memory:', 'pulsar:', 'pulsar+ssl:', 'ws:', 'wss:'],
      redis: ['memory:', ...REDIS_SCHEMES],
      database: ['memory:', 'sqlite:', 'mssql:'],
    },
    switches: ['DATABASE_MIGRATE'],
  });
  return {
    port: environment.port('PORT'),
    broker: readBroker(environment.url('pulsar'), env),
    cache: readCache(environment.url('redis'), env),
    database: readDatabase(environment.url('database')),
    migrate: environment.isOn('DATABASE_MIGRATE'),
    databaseFile: /^sqlite:(.+)$/.exec(environment.url('database'))?.[1] ?? ':memory:',
  };
}

/**
 * Where Pulsar is, by `PULSAR_URL` (given as `url`), `PULSAR_NAMESPACE` and `PULSAR_TOKEN`; `undefined` = embedded. An address is told in logs
 * and errors, so whatever else it carries than hosts, a credential among it, is refused.
 *
 * @throws ConfigurationError that names the variable, and never a value.
 */
export function readBroker(url: string, env: NodeJS.ProcessEnv): BrokerAddress | undefined {
  if (url.startsWith('memory:')) {
    return undefined;
  }
  if (!/^(?:pulsar(?:\+ssl)?|wss?):\/\/[^@?#\s]+$/.test(url)) {
    const problem =
      'expected scheme://host:port and nothing else; a token goes into PULSAR_TOKEN, leave it unset where there is none';
    throw new ConfigurationError(
      'The environment',
      [{ option: 'PULSAR_URL', problem }],
      'Correct the variables and start again.',
    );
  }
  return {
    url,
    namespace: env['PULSAR_NAMESPACE'] || 'public/default',
    ...(env['PULSAR_TOKEN'] ? { token: env['PULSAR_TOKEN'] } : {}),
  };
}

/**
 * Where Redis is, by `REDIS_URL` (given as `url`); `undefined` = embedded. It may carry a password, so nobody is told of it.
 *
 * @throws ConfigurationError that names the variable, and never a value.
 */
export function readCache(url: string, env: NodeJS.ProcessEnv): CacheAddress | undefined {
  if (url.startsWith('memory:')) {
    return undefined;
  }
  // Several hosts are none for the URL class; the library looks closer at both.
  if (!/^rediss?(?:\+(?:sentinel|cluster))?:\/\/\S+$/.test(url) || (!url.includes('+') && !URL.canParse(url))) {
    const problem =
      'expected redis://[user:password@]host[:port][/database], redis+sentinel://host,host/masterName or redis+cluster://host,host, with rediss for TLS';
    throw new ConfigurationError(
      'The environment',
      [{ option: 'REDIS_URL', problem }],
      'Correct the variables and start again.',
    );
  }
  return { url, freeze: env['NODE_ENV'] !== 'production' };
}

/**
 * Where SQL Server is, by `DATABASE_URL` (given as `url`); `undefined` = embedded. It may carry a password, so nobody is told of it.
 *
 * @throws ConfigurationError that names the variable, and never a value.
 */
export function readDatabase(url: string): DatabaseAddress | undefined {
  if (!url.startsWith('mssql:')) {
    return undefined;
  }
  sqlServerTargetOf(url, 'The environment', 'DATABASE_URL');
  return { url };
}
