import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { HealthForRootClaim } from './health.claim.js';
import { HealthTelemetry } from './health.telemetry.js';
import { HealthSampler } from './sampling/health.sampler.js';

/** What there is exactly once in an app: the sampler of all its probes. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [HealthForRootClaim, HealthSampler, HealthTelemetry],
  exports: [HealthForRootClaim, HealthSampler],
})
export class HealthCoreModule {}
