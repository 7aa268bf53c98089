import { z } from 'zod';
import { SHUTDOWN_PHASES, type ShutdownPhase } from './shutdown-task.js';

/** How long a stop may take. */
export interface ShutdownOptions {
  /**
   * What each phase may take, in milliseconds: readiness 1,000, intake 5,000, work 10,000, flush 3,000 (both times together), clients 3,000.
   * With the HTTP server's share and everything cut short, that stays inside the 30 s that Kubernetes gives by default.
   */
  readonly phaseTimeoutsMs?: Partial<Record<ShutdownPhase, number>> | undefined;
  /**
   * What open HTTP requests may take before their connections are cut, in milliseconds; so long is also waited for a `listen` or `init` that
   * is under way. Default 5,000. Only with `enableGracefulShutdown`.
   */
  readonly httpTimeoutMs?: number | undefined;
  /**
   * How long to keep serving after readiness went down, in milliseconds, so that the load balancer notices: the probe's
   * `periodSeconds × failureThreshold`. Default 0: set it where something polls `/health/ready`. Only with `enableGracefulShutdown`.
   */
  readonly readinessDelayMs?: number | undefined;
}

/** {@link ShutdownOptions} with every value filled in. */
export interface ResolvedShutdownOptions {
  readonly phaseTimeoutsMs: Readonly<Record<ShutdownPhase, number>>;
  readonly httpTimeoutMs: number;
  readonly readinessDelayMs: number;
}

/** The defaults of {@link ShutdownOptions}. */
export const SHUTDOWN_DEFAULTS: ResolvedShutdownOptions = Object.freeze({
  phaseTimeoutsMs: Object.freeze({ readiness: 1_000, intake: 5_000, work: 10_000, flush: 3_000, clients: 3_000 }),
  httpTimeoutMs: 5_000,
  readinessDelayMs: 0,
});

const milliseconds = z
  .number({ error: 'expected a number of milliseconds from 0 to 3,600,000' })
  .min(0, { error: 'expected 0 or more milliseconds' })
  .max(3_600_000, { error: 'expected at most 3,600,000 milliseconds (1 h)' });

/** The keys of {@link ShutdownOptions}, checked. */
export const shutdownOptionsShape = {
  phaseTimeoutsMs: z.partialRecord(z.enum(SHUTDOWN_PHASES), milliseconds).optional(),
  httpTimeoutMs: milliseconds.optional(),
  readinessDelayMs: milliseconds.optional(),
};

/** Lays `options` over `base`. */
export function resolveShutdownOptions(
  options: ShutdownOptions | undefined,
  base: ResolvedShutdownOptions = SHUTDOWN_DEFAULTS,
): ResolvedShutdownOptions {
  const phaseTimeoutsMs = { ...base.phaseTimeoutsMs };
  for (const phase of SHUTDOWN_PHASES) {
    phaseTimeoutsMs[phase] = options?.phaseTimeoutsMs?.[phase] ?? phaseTimeoutsMs[phase];
  }
  return {
    phaseTimeoutsMs,
    httpTimeoutMs: options?.httpTimeoutMs ?? base.httpTimeoutMs,
    readinessDelayMs: options?.readinessDelayMs ?? base.readinessDelayMs,
  };
}
