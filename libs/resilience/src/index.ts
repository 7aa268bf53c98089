export { checkOptions } from './configuration/check-options.js';
export type { StandardSchemaV1 } from './configuration/standard-schema.js';
export { Clock, type Timer, type TimerOptions } from './clock/clock.js';
export { SystemClock } from './clock/system.clock.js';
export { HealthProbe, type ProbeDetails, type ProbeResult, type ProbeStatus } from './health/health-probe.js';
export { Random } from './random/random.js';
export { SystemRandom } from './random/system.random.js';
export {
  ConfigurationError,
  type ConfigurationIssue,
  SmartPulseError,
  type SmartPulseErrorDetails,
} from './resilience.errors.js';
export { SHUTDOWN_PHASES, type ShutdownContext, type ShutdownPhase, type ShutdownTask } from './shutdown/shutdown-task.js';
