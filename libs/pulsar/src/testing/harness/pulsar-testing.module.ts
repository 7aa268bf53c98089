import { type DynamicModule, Module } from '@nestjs/common';
import { Clock, Random, ResilienceModule, type ResilienceModuleOptions } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { PulsarConnection } from '../../connection/pulsar.connection.js';
import { InProcessBroker } from '../../in-process/in-process.broker.js';
import { PulsarModule } from '../../pulsar.module.js';
import { PULSAR_OPTIONS, type PulsarModuleOptions, type ResolvedPulsarOptions } from '../../pulsar.options.js';
import { HarnessFaults } from './harness-faults.js';
import { HarnessTransport } from './harness.transport.js';

/** On what an app under test runs. */
export interface HarnessOptions {
  /** Default: a new one. Another app's broker brings its own. */
  readonly clock?: VirtualClock | undefined;
  /** The broker of another app, to meet it there. Default: a new one. */
  readonly broker?: InProcessBroker | undefined;
  /** Of everything that is left to chance, such as jitter. Default 1. */
  readonly seed?: number | undefined;
  /**
   * `true`: producers gather batches as their options say; a publish then resolves only when time goes on. Default `false`: every message goes
   * alone and at once.
   */
  readonly batching?: boolean | undefined;
  /** What goes wrong already at the start of the app. */
  readonly faults?: ((faults: HarnessFaults) => void) | undefined;
}

/** What {@link PulsarTestingModule.forRoot} takes. */
export interface PulsarTestingOptions extends HarnessOptions {
  /** As of `PulsarModule.forRoot`, without what says where the broker is. */
  readonly options?: Partial<Omit<PulsarModuleOptions, 'url' | 'transport' | 'ownTransport' | 'token' | 'tls'>>;
  /** As of `ResilienceModule.forRoot`. */
  readonly resilience?: Omit<ResilienceModuleOptions, 'clock' | 'random'> | undefined;
}

/** The part of `TestingModuleBuilder` (`@nestjs/testing`) that is needed here. */
export interface OverridableModuleBuilder {
  overrideProvider(token: unknown): {
    useValue(value: unknown): unknown;
    useFactory(options: { factory: (...dependencies: never[]) => unknown; inject?: unknown[] }): unknown;
  };
}

/**
 * In place of `ResilienceModule.forRoot` and `PulsarModule.forRoot` in a testing module: virtual time, seeded chance, a broker in the
 * process. `PulsarHarness.of(app)` shows what happens.
 *
 * @example
 * ```ts
 * const app = await Test.createTestingModule({ imports: [PulsarTestingModule.forRoot()], providers: [Mailer] }).compile();
 * await app.init();
 * const harness = PulsarHarness.of(app);
 * ```
 */
@Module({})
export class PulsarTestingModule {
  /** @throws ConfigurationError at start when the options are wrong. */
  static forRoot(options: PulsarTestingOptions = {}): DynamicModule {
    const { transport, random } = harnessParts(options);
    return {
      module: PulsarTestingModule,
      imports: [
        ResilienceModule.forRoot({ ...options.resilience, clock: transport.clock, random }),
        PulsarModule.forRoot({ ...options.options, url: 'memory://', transport, ownTransport: true }),
      ],
    };
  }
}

/**
 * Puts an app that imports `PulsarModule` and `ResilienceModule` itself on virtual time, seeded chance and a broker in the process. Its own
 * options stay, except for where the broker is.
 *
 * @returns the builder.
 * @example
 * ```ts
 * const module = await overridePulsar(Test.createTestingModule({ imports: [AppModule] })).compile();
 * const app = module.createNestApplication();
 * await app.init();
 * const harness = PulsarHarness.of(app);
 * ```
 */
export function overridePulsar<B extends OverridableModuleBuilder>(builder: B, options: HarnessOptions = {}): B {
  const { transport, random } = harnessParts(options);
  builder.overrideProvider(Clock).useValue(transport.clock);
  builder.overrideProvider(Random).useValue(random);
  builder.overrideProvider(PulsarConnection).useFactory({
    inject: [PULSAR_OPTIONS],
    factory: (own: ResolvedPulsarOptions) =>
      new PulsarConnection({ ...own, transport, ownTransport: true }, transport.clock, random),
  });
  return builder;
}

function harnessParts(options: HarnessOptions): {
  readonly transport: HarnessTransport;
  readonly random: SeededRandom;
} {
  const random = new SeededRandom(options.seed ?? 1);
  const clock = options.clock ?? (options.broker === undefined ? new VirtualClock() : virtual(options.broker));
  const broker = options.broker ?? new InProcessBroker({ clock, random });
  if (broker.clock !== clock) {
    throw new TypeError(
      'The broker has another clock than the app under test: leave clock out, the broker brings its own.',
    );
  }
  const faults = new HarnessFaults(clock);
  options.faults?.(faults);
  return { transport: new HarnessTransport({ clock, broker, faults, batching: options.batching ?? false }), random };
}

function virtual({ clock }: InProcessBroker): VirtualClock {
  if (!(clock instanceof VirtualClock)) {
    throw new TypeError('An app under test runs on virtual time: make its broker with a VirtualClock.');
  }
  return clock;
}
