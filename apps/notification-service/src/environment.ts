import { checkOptions } from '@smartpulse/resilience';
import { z } from 'zod';

const NOT_THERE_YET = 'names a system whose adapter is not there yet: leave it unset for the embedded one';

/** An address that only the embedded part serves so far; the value may hold a credential and is never repeated. */
const embeddedUrl = (pattern: RegExp) => z.string().regex(pattern, NOT_THERE_YET).optional();

const variables = z
  .object({
    NODE_ENV: z.string().optional(),
    ALLOW_EMBEDDED: z
      .string()
      .default('')
      .transform((names) => names.split(',').map((name) => name.trim())),
    PORT: z
      .string()
      .regex(/^\d{1,5}$/, 'expected a port from 0 to 65535')
      .default('3001')
      .transform(Number)
      .refine((port) => port <= 65_535, 'expected a port from 0 to 65535'),
    PULSAR_URL: embeddedUrl(/^memory:\/\/$/),
    DATABASE_URL: embeddedUrl(/^(?:memory:\/\/|sqlite:.+)$/),
  })
  .superRefine(({ NODE_ENV, ALLOW_EMBEDDED }, context) => {
    for (const part of ['pulsar', 'database']) {
      if (NODE_ENV === 'production' && !ALLOW_EMBEDDED.includes(part)) {
        context.addIssue({
          code: 'custom',
          path: [`${part.toUpperCase()}_URL`],
          message: `is embedded, which NODE_ENV=production refuses unless ALLOW_EMBEDDED names "${part}"`,
        });
      }
    }
  });

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
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const { PORT, DATABASE_URL } = checkOptions(
    'The environment',
    variables,
    set,
    'Correct the variables and start again.',
  );
  const file = DATABASE_URL?.startsWith('sqlite:') === true ? DATABASE_URL.slice('sqlite:'.length) : ':memory:';
  return { port: PORT, databaseFile: file };
}
