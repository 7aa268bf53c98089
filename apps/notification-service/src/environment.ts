import { sqlServerTargetOf } from '@smartpulse/cdc/sql-server';
import { checkEnvironment, ConfigurationError } from '@smartpulse/resilience';
import { type BrokerAddress, type DatabaseAddress } from './notification-service.parts.js';

/** What the environment says. */
export interface Environment {
  readonly port: number;
  /** Where Pulsar is; `undefined` = embedded in this process. */
  readonly broker: BrokerAddress | undefined;
  /** Where SQL Server is; `undefined` = embedded in this process. */
  readonly database: DatabaseAddress | undefined;
  /** Whether the tables that it lacks are made at the start. */
  readonly migrate: boolean;
  /** Where the embedded database keeps its data; `:memory:` = nowhere. */
  readonly databaseFile: string;
}

/**
 * Reads the environment: the only place of the app that does.
 *
 * @throws ConfigurationError that names every variable that is wrong, and never a value.
 */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  // Schemes of real systems join these lists together with their adapters.
  const environment = checkEnvironment(env, {
    ports: { PORT: 3001 },
    systems: {
      pulsar: ['memory:', 'pulsar:', 'pulsar+ssl:', 'ws:', 'wss:'],
      database: ['memory:', 'sqlite:', 'mssql:'],
    },
    switches: ['DATABASE_MIGRATE'],
  });
  return {
    port: environment.port('PORT'),
    broker: readBroker(environment.url('pulsar'), env),
    database: readDatabase(environment.url('database')),
    migrate: environment.isOn('DATABASE_MIGRATE'),
    databaseFile: /^sqlite:(.+)$/.exec(environment.url('database'))?.[1] ?? ':memory:',
  };
}

/** An address is told in logs and errors, so whatever else it carries than hosts, a credential among it, is refused. */
function readBroker(url: string, env: NodeJS.ProcessEnv): BrokerAddress | undefined {
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

/** It may carry a password, so nobody is told of it: what is wrong with it names the variable, and never a value. */
function readDatabase(url: string): DatabaseAddress | undefined {
  if (!url.startsWith('mssql:')) {
    return undefined;
  }
  sqlServerTargetOf(url, 'The environment', 'DATABASE_URL');
  return { url };
}
