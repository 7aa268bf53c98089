import { type ConfigurationIssue, ConfigurationError } from '../resilience.errors.js';

/** What an app reads from its environment. */
export interface EnvironmentOptions<TPort extends string, TSystem extends string, TSwitch extends string = never> {
  /** Variables that hold a port, each with the one that counts where it is not set. */
  readonly ports: Readonly<Record<TPort, number>>;
  /**
   * External systems by name, each with the schemes that the app can use: `pulsar: ['memory:']` is told by `PULSAR_URL`. Where it is not
   * set, the system is embedded: `memory://`.
   */
  readonly systems: Readonly<Record<TSystem, readonly `${string}:`[]>>;
  /** Variables that are `1` for yes, and `0` or not set for no. */
  readonly switches?: readonly TSwitch[] | undefined;
}

/** An environment that was checked. */
export interface CheckedEnvironment<TPort extends string, TSystem extends string, TSwitch extends string = never> {
  /** The port to listen on; 0 = any free one. */
  port(variable: TPort): number;
  /** Where a system is; `memory://` or `sqlite:…` = embedded in this process. */
  url(system: TSystem): string;
  /** Whether the variable says yes. */
  isOn(variable: TSwitch): boolean;
}

/**
 * Checks where an app listens and where its external systems are. A variable that is set to nothing counts as unset, and then the system is
 * embedded. `NODE_ENV=production` refuses embedded ones, which live and die with one process, unless `ALLOW_EMBEDDED` names them:
 * `ALLOW_EMBEDDED=pulsar,redis`.
 *
 * @throws {@link ConfigurationError} that names every variable that is wrong, and never a value.
 * @example
 * ```ts
 * const environment = checkEnvironment(process.env, { ports: { PORT: 3000 }, systems: { pulsar: ['memory:'] } });
 * PulsarModule.forRoot({ url: environment.url('pulsar') });
 * ```
 */
export function checkEnvironment<TPort extends string, TSystem extends string, TSwitch extends string = never>(
  env: NodeJS.ProcessEnv,
  options: EnvironmentOptions<TPort, TSystem, TSwitch>,
): CheckedEnvironment<TPort, TSystem, TSwitch> {
  const port = (variable: TPort): string => env[variable] || String(options.ports[variable]);
  const url = (system: TSystem): string => env[variableOf(system)] || 'memory://';
  const allowed = (env['ALLOW_EMBEDDED'] ?? '').split(',').map((name) => name.trim());
  const issues: ConfigurationIssue[] = [];
  for (const variable in options.ports) {
    if (!/^\d{1,5}$/.test(port(variable)) || Number(port(variable)) > 65_535) {
      issues.push({ option: variable, problem: 'expected a port from 0 to 65535' });
    }
  }
  for (const system in options.systems) {
    const schemes = options.systems[system];
    if (!schemes.some((scheme) => url(system).startsWith(scheme) && url(system) !== scheme)) {
      const problem = `expected an address that begins with ${schemes.join(' or ')}; leave it unset for the embedded system`;
      issues.push({ option: variableOf(system), problem });
    } else if (env['NODE_ENV'] === 'production' && isEmbedded(url(system)) && !allowed.includes(system)) {
      const problem = `is embedded, which NODE_ENV=production refuses unless ALLOW_EMBEDDED names "${system}"`;
      issues.push({ option: variableOf(system), problem });
    }
  }
  for (const variable of options.switches ?? []) {
    if (!/^[01]?$/.test(env[variable] ?? '')) {
      issues.push({ option: variable, problem: 'expected 1 for yes, or 0 for no' });
    }
  }
  if (issues.length > 0) {
    throw new ConfigurationError('The environment', issues, 'Correct the variables and start again.');
  }
  return { port: (variable) => Number(port(variable)), url, isOn: (variable) => env[variable] === '1' };
}

function variableOf(system: string): string {
  return `${system.toUpperCase()}_URL`;
}

function isEmbedded(url: string): boolean {
  return /^(?:memory|sqlite):/.test(url);
}
