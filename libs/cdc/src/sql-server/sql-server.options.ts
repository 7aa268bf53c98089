import { Clock, Random } from '@smartpulse/resilience';
import type { config } from 'mssql';
import { z } from 'zod';
import { tableSchema } from '../cdc.options.js';
import type { SqlServerErrorOverrides } from './errors/classify.js';
import type { SqlServerErrorClass } from './errors/error-classes.js';
import { SqlServerPool } from './pool/sql-server.pool.js';

/** How change capture works on a SQL Server database. */
export interface SqlServerCdcOptions {
  /** Names the database in changes, checkpoints and stamps: stable and explicit. */
  readonly name: string;
  /** `mssql://user:password@host:1433/database?encrypt=true&trustServerCertificate=false`. Instead of it: `pool`. */
  readonly url?: string | undefined;
  /** Connections that the app makes itself; change capture never closes them. They must serve nothing else. */
  readonly pool?: SqlServerPool | undefined;
  /** How tedious authenticates where the URL has no user: `{ type: 'azure-active-directory-default', options: {} }`. */
  readonly authentication?: config['authentication'];
  /** The schema that keeps the epoch, positions and leases. Default `smartpulse`. */
  readonly schema?: string | undefined;
  /** Creates that schema's tables, and columns that came since, at the first statement where they are missing. Default `false`: `npx smartpulse-cdc enable` does. */
  readonly createBookkeeping?: boolean | undefined;
  /** `auto`: snapshots where the database allows them, committed rows with checks around them where not. Default `auto`. */
  readonly isolation?: 'auto' | 'snapshot' | 'read-committed' | undefined;
  /**
   * Whether the server is made to seek in its side tables instead of scanning them, which it knows from 2016 SP2 CU16, 2017 CU24 and 2019 CU11
   * on. `auto`: for some pages of a table after one that took too long. Default `auto`.
   */
  readonly forceSeek?: 'auto' | boolean | undefined;
  /** Columns to read by table; a table that is not named is read whole. The key is read anyway. */
  readonly columns?: Readonly<Record<string, readonly string[]>> | undefined;
  /** Most connections that read. Default 4. Positions and leases have two of their own, so that no slow page costs a lease. */
  readonly poolSize?: number | undefined;
  /** Longest time to connect, in milliseconds. Default 15,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Longest time of a statement, in milliseconds. Default 15,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Longest time that a statement waits for locks of others, in milliseconds. Default 5,000. */
  readonly lockTimeoutMs?: number | undefined;
  /** How long a table's lease lives without being renewed, in milliseconds. Default 30,000. It is renewed every third of it. */
  readonly leaseTtlMs?: number | undefined;
  /** Names this replica among those that share the tables. Default: the machine's name. */
  readonly owner?: string | undefined;
  /** How the connections are called on the server. Default `smartpulse-cdc`. */
  readonly applicationName?: string | undefined;
  /** Classes of errors that the app knows better. */
  readonly errorClasses?: SqlServerErrorOverrides | undefined;
  /** Time of leases. Default: the system's. */
  readonly clock?: Clock | undefined;
  /** Chance in the names of replicas. Default: the system's. */
  readonly random?: Random | undefined;
}

/** What {@link SqlServerCdcOptions} default to. */
export const SQL_SERVER_CDC_DEFAULTS = Object.freeze({
  schema: 'smartpulse',
  createBookkeeping: false,
  isolation: 'auto',
  forceSeek: 'auto',
  poolSize: 4,
  connectTimeoutMs: 15_000,
  requestTimeoutMs: 15_000,
  lockTimeoutMs: 5_000,
  leaseTtlMs: 30_000,
  applicationName: 'smartpulse-cdc',
} as const);

const whole = (unit: string, least: number, most: number) => {
  const message = `expected a whole number of ${unit} from ${least} to ${most}`;
  return z.int(message).min(least, message).max(most, message);
};
const DEFAULTS = SQL_SERVER_CDC_DEFAULTS;
const CLASSES = [
  'connection',
  'overload',
  'contention',
  'timeout',
  'snapshotUnavailable',
  'configuration',
  'defect',
  'cancelled',
  'unrecognised',
  'unknown',
] as const satisfies readonly SqlServerErrorClass[];
const errorClass = z.enum(CLASSES, `expected one of ${CLASSES.join(', ')}`);

/** A schema's name. */
export const schemaName = z
  .string('expected the name of a schema')
  .regex(/^[A-Za-z_][\w$#@]{0,127}$/, 'expected one plain identifier, like "smartpulse"');

/** Checks {@link SqlServerCdcOptions} and fills in the defaults. */
export const sqlServerCdcSchema = z
  .strictObject({
    name: z.string('expected the name of the database').regex(/^[\w.-]{1,64}$/, {
      message: 'expected 1 to 64 letters, digits, dots, dashes or underscores',
    }),
    url: z.string('expected mssql://user:password@host:port/database').optional(),
    pool: z.custom<SqlServerPool>((value) => value instanceof SqlServerPool, 'expected a SqlServerPool').optional(),
    authentication: z
      .custom<config['authentication']>((value) => typeof value === 'object', 'expected what tedious takes')
      .optional(),
    schema: schemaName.default(DEFAULTS.schema),
    createBookkeeping: z.boolean('expected true or false').default(DEFAULTS.createBookkeeping),
    isolation: z
      .enum(['auto', 'snapshot', 'read-committed'], 'expected "auto", "snapshot" or "read-committed"')
      .default(DEFAULTS.isolation),
    forceSeek: z.union([z.literal('auto'), z.boolean()], 'expected "auto", true or false').default(DEFAULTS.forceSeek),
    columns: z
      .record(tableSchema, z.array(z.string('expected names of columns').min(1, 'expected names of columns')))
      .optional(),
    poolSize: whole('connections', 1, 100).default(DEFAULTS.poolSize),
    connectTimeoutMs: whole('milliseconds', 100, 600_000).default(DEFAULTS.connectTimeoutMs),
    requestTimeoutMs: whole('milliseconds', 100, 600_000).default(DEFAULTS.requestTimeoutMs),
    lockTimeoutMs: whole('milliseconds', 0, 600_000).default(DEFAULTS.lockTimeoutMs),
    leaseTtlMs: whole('milliseconds', 1_000, 3_600_000).default(DEFAULTS.leaseTtlMs),
    owner: z.string('expected a name').min(1, 'expected a name').max(150, 'expected at most 150 characters').optional(),
    applicationName: z
      .string('expected a name')
      .min(1, 'expected a name')
      .max(128, 'expected at most 128 characters')
      .default(DEFAULTS.applicationName),
    errorClasses: z
      .strictObject({
        numbers: z.record(z.coerce.number(), errorClass).optional(),
        severities: z.record(z.coerce.number(), errorClass).optional(),
        codes: z.record(z.string(), errorClass).optional(),
      })
      .transform(({ numbers, severities, codes }) => ({
        ...(numbers && { numbers }),
        ...(severities && { severities }),
        ...(codes && { codes }),
      }))
      .optional(),
    clock: z.custom<Clock>((value) => value instanceof Clock, 'expected a Clock of @smartpulse/resilience').optional(),
    random: z
      .custom<Random>((value) => value instanceof Random, 'expected a Random of @smartpulse/resilience')
      .optional(),
  })
  .refine(({ url, pool }) => (url === undefined) !== (pool === undefined), {
    path: ['url'],
    message: 'expected either url or pool',
  })
  .refine(({ leaseTtlMs, requestTimeoutMs }) => requestTimeoutMs <= leaseTtlMs, {
    path: ['requestTimeoutMs'],
    message: 'expected at most leaseTtlMs: a renewal that waits longer comes too late',
  });

/** {@link SqlServerCdcOptions} with the defaults filled in. */
export type CheckedSqlServerCdcOptions = z.output<typeof sqlServerCdcSchema>;
