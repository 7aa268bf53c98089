import type { ResolvedTrackerOptions, TrackerDefaults, TrackerOptions, TrackerTuning } from './tracker.options.js';

/** Fills in what a tracker's options leave out: first from the app's tuning, then from the defaults. */
export function resolveTracker(
  options: TrackerOptions,
  tuning: TrackerTuning,
  defaults: TrackerDefaults,
): ResolvedTrackerOptions {
  const { consumer, table, sink, startAfter } = options;
  return {
    consumer,
    table,
    sink,
    startAfter,
    onPoison: options.onPoison ?? tuning.onPoison,
    maxAttempts: options.maxAttempts ?? tuning.maxAttempts,
    pageSize: options.pageSize ?? tuning.pageSize ?? defaults.pageSize,
    chunkSize: options.chunkSize ?? tuning.chunkSize ?? defaults.chunkSize,
    minIntervalMs: options.minIntervalMs ?? tuning.minIntervalMs ?? defaults.minIntervalMs,
    maxIntervalMs: options.maxIntervalMs ?? tuning.maxIntervalMs ?? defaults.maxIntervalMs,
    heartbeatIntervalMs: options.heartbeatIntervalMs ?? tuning.heartbeatIntervalMs ?? defaults.heartbeatIntervalMs,
    bootstrap: options.bootstrap ?? tuning.bootstrap ?? defaults.bootstrap,
    errorBackoff: options.errorBackoff ?? tuning.errorBackoff ?? defaults.errorBackoff,
    leaseRetry: options.leaseRetry ?? tuning.leaseRetry ?? defaults.leaseRetry,
  };
}
