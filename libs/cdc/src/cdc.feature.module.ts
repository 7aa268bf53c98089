import { type DynamicModule, Module, type OnModuleInit, type Type } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { type FeatureTracker, featureTrackersSchema } from './cdc.options.js';
import { CdcRegistry } from './registry/cdc.registry.js';
import { ChangeSink } from './sink/change.sink.js';

const OWNER = 'CdcModule.forFeature';

/** Carries the trackers of one `CdcModule.forFeature`. */
@Module({})
export class CdcFeatureModule {
  /** @throws ConfigurationError at once when the options are wrong. */
  static with(trackers: readonly FeatureTracker[]): DynamicModule {
    checkOptions(OWNER, featureTrackersSchema, trackers);
    return {
      module: CdcFeatureModule,
      providers: [
        {
          provide: Symbol('smartpulse:cdc:feature'),
          inject: [{ token: CdcRegistry, optional: true }, ModuleRef],
          useFactory: (registry: CdcRegistry | undefined, moduleRef: ModuleRef): FeatureTrackers => {
            if (registry === undefined) {
              throw new ConfigurationError(
                OWNER,
                [{ option: '', problem: 'there is no CdcModule.forRoot in this app' }],
                'Import CdcModule.forRoot(parts) once, in the root module.',
              );
            }
            return new FeatureTrackers(trackers, registry, moduleRef);
          },
        },
      ],
    };
  }
}

/** Adds the trackers once every provider is there, so that a sink may depend on anything. */
class FeatureTrackers implements OnModuleInit {
  constructor(
    private readonly trackers: readonly FeatureTracker[],
    private readonly registry: CdcRegistry,
    private readonly moduleRef: ModuleRef,
  ) {}

  onModuleInit(): void {
    for (const { sink, ...options } of this.trackers) {
      this.registry.track({ ...options, sink: this.#find(sink) });
    }
  }

  #find(sink: Type<ChangeSink>): ChangeSink {
    let found: unknown;
    try {
      found = this.moduleRef.get(sink, { strict: false });
    } catch {
      // Nest says by throwing that there is none, or one per request.
      throw new ConfigurationError(
        OWNER,
        [{ option: 'sink', problem: `${sink.name} is no provider of this app, or a request-scoped one` }],
        `Add ${sink.name} to the providers of the module that imports the feature.`,
      );
    }
    if (!(found instanceof ChangeSink)) {
      throw new ConfigurationError(OWNER, [{ option: 'sink', problem: `${sink.name} does not extend ChangeSink` }]);
    }
    return found;
  }
}
