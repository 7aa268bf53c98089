import { ConfigurationError } from '@smartpulse/resilience';

/** Where a database is, and who asks. */
export interface SqlServerTarget {
  readonly server: string;
  readonly port?: number | undefined;
  readonly instanceName?: string | undefined;
  readonly database: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Default `true`. */
  readonly encrypt?: boolean | undefined;
  /** Default `false`. */
  readonly trustServerCertificate?: boolean | undefined;
}

/**
 * The parts of `mssql://user:password@host:1433/database?encrypt=true&trustServerCertificate=false&instanceName=…`. What is special in a
 * user or password is percent-encoded.
 *
 * @param owner whose option it is, and `option` what it is called there: errors name both.
 * @throws ConfigurationError that never quotes the URL: it holds a password.
 */
export function targetOf(url: string, owner: string, option = 'url'): SqlServerTarget {
  const refuse = (problem: string): never => {
    throw new ConfigurationError(owner, [{ option, problem }]);
  };
  const decoded = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      return refuse('expected % only before two hexadecimal digits: a % itself is written %25');
    }
  };
  if (!URL.canParse(url)) {
    return refuse('expected mssql://user:password@host:port/database');
  }
  const parsed = new URL(url);
  if (parsed.protocol !== 'mssql:') {
    refuse('expected the protocol mssql:');
  }
  const database = decoded(parsed.pathname.slice(1));
  if (parsed.hostname === '' || database === '' || database.includes('/')) {
    refuse('expected a host and one database, as in mssql://user:password@host:port/database');
  }
  const flag = (name: string): boolean | undefined => {
    const value = parsed.searchParams.get(name);
    if (value !== null && value !== 'true' && value !== 'false') {
      refuse(`expected true or false for the parameter ${name}`);
    }
    return value === null ? undefined : value === 'true';
  };
  const unknown = [...parsed.searchParams.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) {
    refuse(`has the unknown parameter ${JSON.stringify(unknown)}; known are ${PARAMETERS.join(', ')}`);
  }
  if (parsed.port !== '' && parsed.searchParams.has('instanceName')) {
    // The driver would leave the port out without a word.
    refuse('expected a port or instanceName: the port of a named instance is asked of its server');
  }
  return {
    // An address of IPv6 stands in brackets in a URL.
    server: parsed.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: parsed.port === '' ? undefined : Number(parsed.port),
    instanceName: parsed.searchParams.get('instanceName') ?? undefined,
    database,
    user: parsed.username === '' ? undefined : decoded(parsed.username),
    password: parsed.password === '' ? undefined : decoded(parsed.password),
    encrypt: flag('encrypt'),
    trustServerCertificate: flag('trustServerCertificate'),
  };
}

/** Where the driver goes when nothing else is said. */
const DEFAULT_PORT = 1433;

/** `host:port/database`, or `host\instance/database`: who asks is no part of it. */
export function addressOf({
  server,
  port,
  instanceName,
  database,
}: Pick<SqlServerTarget, 'server' | 'port' | 'instanceName' | 'database'>): string {
  const host = server.includes(':') ? `[${server}]` : server;
  return instanceName === undefined
    ? `${host}:${port ?? DEFAULT_PORT}/${database}`
    : `${host}\\${instanceName}/${database}`;
}

const PARAMETERS: readonly string[] = Object.freeze(['encrypt', 'trustServerCertificate', 'instanceName']);
