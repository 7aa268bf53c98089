export { HealthCoreModule } from './health.core.module.js';
export { DuplicateProbeError } from './health.errors.js';
export { HealthModule } from './health.module.js';
export {
  HEALTH_DEFAULTS,
  type HealthDetails,
  type HealthModuleAsyncOptions,
  type HealthModuleOptions,
  type HealthRequest,
  type ResolvedHealthOptions,
} from './health.options.js';
export { HEALTH_INSTRUMENTS } from './health.telemetry.js';
export { HealthSampler } from './sampling/health.sampler.js';
export type { ProbeReport } from './sampling/probe-report.js';
