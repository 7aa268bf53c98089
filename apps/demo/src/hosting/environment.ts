import { checkOptions } from '@smartpulse/resilience';
import { z } from 'zod';

const port = (fallback: number) =>
  z
    .string()
    .regex(/^\d{1,5}$/, 'expected a port from 0 to 65535')
    .default(String(fallback))
    .transform(Number)
    .refine((number) => number <= 65_535, 'expected a port from 0 to 65535');

const variables = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: port(3000),
  NOTIFICATION_PORT: port(3001),
  DEMO_DATA: z.string().optional(),
});

/** What the environment says of the demo. */
export interface DemoEnvironment {
  /** The address to listen on: loopback, as nobody is authenticated. */
  readonly host: string;
  /** ProductionForecast's port; 0 = any free one. */
  readonly port: number;
  /** NotificationService's port; 0 = any free one. */
  readonly notificationPort: number;
  /** A file with data to show; `undefined` = generated data. */
  readonly dataFile: string | undefined;
}

/**
 * Reads the environment; a variable that is set to nothing counts as unset.
 *
 * @throws ConfigurationError that names the variables that are wrong.
 */
export function readDemoEnvironment(env: NodeJS.ProcessEnv): DemoEnvironment {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const { HOST, PORT, NOTIFICATION_PORT, DEMO_DATA } = checkOptions(
    'The environment',
    variables,
    set,
    'Correct the variables and start again.',
  );
  return { host: HOST, port: PORT, notificationPort: NOTIFICATION_PORT, dataFile: DEMO_DATA };
}
