import { Clock } from '@smartpulse/resilience';
import { z } from 'zod';

/** How an {@link EmbeddedDatabase} is opened. */
export interface EmbeddedDatabaseOptions {
  /** Names the database in changes, checkpoints and stamps: stable and explicit. */
  readonly name: string;
  /** Time of commits, leases and deadlines. */
  readonly clock: Clock;
  /** The file; its directory is created. Default `:memory:`, which ends with the object. */
  readonly file?: string | undefined;
  /** Longest time that one caller may hold the connection, in milliseconds. Default 30,000. */
  readonly turnTimeoutMs?: number | undefined;
  /** Most callers that may wait for the connection; one more is refused. Default 10,000. */
  readonly maxWaitingTurns?: number | undefined;
  /**
   * The epoch in the copy that is kept outside of the file, if there is one. A new file begins above it, and a file that is behind it was
   * restored or copied: it begins a new epoch too. Save {@link EmbeddedDatabase.epoch} there after opening.
   */
  readonly outsideEpoch?: bigint | undefined;
  /** How long changes are kept, in milliseconds; a reader that lags more must read the table anew. Default 172,800,000 (2 days); `false` = for ever. */
  readonly retentionMs?: number | false | undefined;
  /** `full`: a commit survives a power cut. `normal`: it survives a crash of the process. Default `full`; without effect in memory. */
  readonly synchronous?: 'full' | 'normal' | undefined;
}

/** What {@link EmbeddedDatabaseOptions} default to. */
export const EMBEDDED_DATABASE_DEFAULTS = Object.freeze({
  file: ':memory:',
  turnTimeoutMs: 30_000,
  maxWaitingTurns: 10_000,
  retentionMs: 172_800_000,
  synchronous: 'full',
} as const);

const whole = (unit: string, least: number, most: number) => {
  const message = `expected a whole number of ${unit} from ${least} to ${most}`;
  return z.int(message).min(least, message).max(most, message);
};

/** Checks {@link EmbeddedDatabaseOptions} and fills in the defaults. */
export const embeddedDatabaseSchema = z.strictObject({
  name: z.string('expected the name of the database').regex(/^[\w.-]{1,64}$/, {
    message: 'expected 1 to 64 letters, digits, dots, dashes or underscores',
  }),
  clock: z.custom<Clock>((value) => value instanceof Clock, 'expected a Clock of @smartpulse/resilience'),
  file: z
    .string('expected a file name or ":memory:"')
    .min(1, 'expected a file name or ":memory:"')
    .refine((file) => !file.startsWith('file:'), 'expected a file name or ":memory:", no URI')
    .default(EMBEDDED_DATABASE_DEFAULTS.file),
  turnTimeoutMs: whole('milliseconds', 10, 3_600_000).default(EMBEDDED_DATABASE_DEFAULTS.turnTimeoutMs),
  maxWaitingTurns: whole('callers', 1, 1_000_000).default(EMBEDDED_DATABASE_DEFAULTS.maxWaitingTurns),
  outsideEpoch: z.bigint('expected a bigint').nonnegative('expected a bigint of 0 or more').optional(),
  retentionMs: z
    .union(
      [z.literal(false), whole('milliseconds', 1_000, 31_536_000_000)],
      'expected milliseconds from 1000 to 31536000000, or false',
    )
    .default(EMBEDDED_DATABASE_DEFAULTS.retentionMs),
  synchronous: z
    .enum(['full', 'normal'], 'expected "full" or "normal"')
    .default(EMBEDDED_DATABASE_DEFAULTS.synchronous),
});

/** Checks what `EmbeddedDatabase.cleanUp` is given. */
export const cleanUpSchema = z.strictObject({ retentionMs: whole('milliseconds', 0, 31_536_000_000) });

/** {@link EmbeddedDatabaseOptions} with the defaults filled in. */
export type CheckedDatabaseOptions = z.output<typeof embeddedDatabaseSchema>;
