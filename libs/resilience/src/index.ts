export {
  type CheckedEnvironment,
  checkEnvironment,
  type EnvironmentOptions,
} from './configuration/check-environment.js';
export { checkOptions } from './configuration/check-options.js';
export type { StandardSchemaV1 } from './configuration/standard-schema.js';
export { Clock, type Timer, type TimerOptions } from './clock/clock.js';
export { SystemClock } from './clock/system.clock.js';
export { Resilient } from './decorators/resilient.decorator.js';
export { CircuitsHealthProbe } from './health/circuits.health-probe.js';
export { HealthProbe, type ProbeDetails, type ProbeResult, type ProbeStatus } from './health/health-probe.js';
export { attemptsOf } from './policy/attempts.js';
export {
  type AttemptContext,
  type CircuitSnapshot,
  type CircuitState,
  type ExecuteOptions,
  type Policy,
  type PolicySnapshot,
} from './policy/policy.js';
export {
  BREAKER_DEFAULTS,
  type BreakerOptions,
  type BreakerStrategy,
  type BulkheadOptions,
  POLICY_PRESETS,
  type PolicyOptions,
  type PolicyPresetName,
  RETRY_BUDGET_DEFAULTS,
  RETRY_DEFAULTS,
  type RetryBudgetOptions,
  type RetryOptions,
} from './policy/policy.options.js';
export { ResilienceRegistry } from './policy/policy.registry.js';
export { Random } from './random/random.js';
export { SeededRandom } from './random/seeded.random.js';
export { SystemRandom } from './random/system.random.js';
export { ResilienceCoreModule } from './resilience.core.module.js';
export {
  BulkheadFullError,
  CircuitOpenError,
  ConfigurationError,
  type ConfigurationIssue,
  PolicyTimeoutError,
  ShutdownTimeoutError,
  SmartPulseError,
  type SmartPulseErrorDetails,
  SyncMethodError,
  UnknownPolicyError,
  UnmanagedInstanceError,
} from './resilience.errors.js';
export { ResilienceModule } from './resilience.module.js';
export type { ResilienceModuleAsyncOptions, ResilienceModuleOptions } from './resilience.options.js';
export { RESILIENCE_INSTRUMENTS } from './resilience.telemetry.js';
export { BACKOFF_DEFAULTS, backoffDelayMs, type BackoffJitter, type BackoffOptions } from './retry/backoff.js';
export { enableGracefulShutdown, type GracefulShutdownOptions } from './shutdown/graceful-shutdown.js';
export type {
  ShutdownReport,
  ShutdownStep,
  ShutdownStepReport,
  ShutdownTaskReport,
} from './shutdown/shutdown-report.js';
export {
  SHUTDOWN_PHASES,
  type ShutdownContext,
  type ShutdownPhase,
  type ShutdownTask,
} from './shutdown/shutdown-task.js';
export { ShutdownCoordinator } from './shutdown/shutdown.coordinator.js';
export { type ResolvedShutdownOptions, SHUTDOWN_DEFAULTS, type ShutdownOptions } from './shutdown/shutdown.options.js';
