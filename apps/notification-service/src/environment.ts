import { checkEnvironment } from '@smartpulse/resilience';

/** What the environment says. */
export interface Environment {
  readonly port: number;
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
    systems: { pulsar: ['memory:'], database: ['memory:', 'sqlite:'] },
  });
  return {
    port: environment.port('PORT'),
    databaseFile: /^sqlite:(.+)$/.exec(environment.url('database'))?.[1] ?? ':memory:',
  };
}
