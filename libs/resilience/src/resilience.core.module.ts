import { Global, Module } from '@nestjs/common';
import { Clock } from './clock/clock.js';
import { SystemClock } from './clock/system.clock.js';
import { CircuitsHealthProbe } from './health/circuits.health-probe.js';
import { ResilienceRegistry } from './policy/policy.registry.js';
import { Random } from './random/random.js';
import { SystemRandom } from './random/system.random.js';
import { ForRootClaim } from './resilience.claim.js';
import { RESILIENCE_OPTIONS, type ResilienceModuleOptions } from './resilience.options.js';
import { ResilienceTelemetry } from './resilience.telemetry.js';
import { ShutdownCoordinator } from './shutdown/shutdown.coordinator.js';
import { resolveShutdownOptions } from './shutdown/shutdown.options.js';

/** What there is exactly once in an app: time, chance, the policies and the stop. */
@Global()
@Module({
  providers: [
    ForRootClaim,
    {
      provide: Clock,
      inject: [RESILIENCE_OPTIONS],
      useFactory: (options: ResilienceModuleOptions): Clock => options.clock ?? new SystemClock(),
    },
    {
      provide: Random,
      inject: [RESILIENCE_OPTIONS],
      useFactory: (options: ResilienceModuleOptions): Random => options.random ?? new SystemRandom(),
    },
    {
      provide: ShutdownCoordinator,
      inject: [RESILIENCE_OPTIONS, Clock],
      useFactory: (options: ResilienceModuleOptions, clock: Clock): ShutdownCoordinator =>
        new ShutdownCoordinator(clock, resolveShutdownOptions(options.shutdown)),
    },
    {
      provide: ResilienceRegistry,
      inject: [RESILIENCE_OPTIONS, Clock, Random, ShutdownCoordinator],
      useFactory: (
        options: ResilienceModuleOptions,
        clock: Clock,
        random: Random,
        shutdown: ShutdownCoordinator,
      ): ResilienceRegistry => {
        const registry = new ResilienceRegistry(clock, random);
        for (const [name, policy] of Object.entries(options.policies ?? {})) {
          registry.create(name, policy);
        }
        shutdown.register({ name: 'policy deadlines', phase: 'clients', stop: () => registry.close() });
        return registry;
      },
    },
    {
      provide: ResilienceTelemetry,
      inject: [ResilienceRegistry, ShutdownCoordinator],
      useFactory: (registry: ResilienceRegistry, shutdown: ShutdownCoordinator) =>
        new ResilienceTelemetry(registry, shutdown),
    },
    {
      provide: CircuitsHealthProbe,
      inject: [ResilienceRegistry],
      useFactory: (registry: ResilienceRegistry) => new CircuitsHealthProbe(registry),
    },
  ],
  exports: [ForRootClaim, Clock, Random, ShutdownCoordinator, ResilienceRegistry, CircuitsHealthProbe],
})
export class ResilienceCoreModule {}
