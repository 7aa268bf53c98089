import {
  type BrokerAddress,
  type CacheAddress,
  type DatabaseAddress,
  readBroker,
  readCache,
  readDatabase,
} from '@smartpulse/production-forecast';
import { checkEnvironment, ConfigurationError } from '@smartpulse/resilience';

/** What the environment says of the demo. */
export interface DemoEnvironment {
  /** The address to listen on: loopback, as nobody is authenticated. */
  readonly host: string;
  /** ProductionForecast's port; 0 = any free one. */
  readonly port: number;
  /** NotificationService's port; 0 = any free one. */
  readonly notificationPort: number;
  /** Where Pulsar is; `undefined` = embedded in this process. */
  readonly broker: BrokerAddress | undefined;
  /** Where Redis is; `undefined` = embedded in this process. */
  readonly cache: CacheAddress | undefined;
  /** A SQL Server on which each run makes a database of its own; `undefined` = embedded in this process. */
  readonly database: DatabaseAddress | undefined;
  /** A file with data to show; `undefined` = generated data. */
  readonly dataFile: string | undefined;
}

/**
 * Reads the environment; a variable that is set to nothing counts as unset.
 *
 * @throws ConfigurationError that names the variables that are wrong.
 */
export function readDemoEnvironment(env: NodeJS.ProcessEnv): DemoEnvironment {
  const environment = checkEnvironment(env, { ports: { PORT: 3000, NOTIFICATION_PORT: 3001 }, systems: {} });
  const database = readDatabase(env['DATABASE_URL'] || 'memory:');
  // Embedded databases of the demo are in memory, whatever file another app is told of.
  if (database === undefined && !/^(?:$|memory:|sqlite:)/.test(env['DATABASE_URL'] ?? '')) {
    throw new ConfigurationError(
      'The environment',
      [
        {
          option: 'DATABASE_URL',
          problem: 'expected mssql://user:password@host:port/database; leave it unset for the embedded databases',
        },
      ],
      'Correct the variables and start again.',
    );
  }
  return {
    host: env['HOST'] || '127.0.0.1',
    port: environment.port('PORT'),
    notificationPort: environment.port('NOTIFICATION_PORT'),
    broker: readBroker(env['PULSAR_URL'] || 'memory://', env),
    cache: readCache(env['REDIS_URL'] || 'memory://', env),
    database,
    dataFile: env['DEMO_DATA'] || undefined,
  };
}
