import type { FactoryProvider, ModuleMetadata } from '@nestjs/common';
import { z } from 'zod';
import { Clock } from './clock/clock.js';
import { type PolicyOptions, policyOptionsSchema } from './policy/policy.options.js';
import { Random } from './random/random.js';
import { type ShutdownOptions, shutdownOptionsShape } from './shutdown/shutdown.options.js';

/** The options of {@link ResilienceModule}. */
export interface ResilienceModuleOptions {
  /** The app's policies by name. Default: none. */
  readonly policies?: Readonly<Record<string, PolicyOptions>> | undefined;
  /** The app's time. Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** The app's chance. Default: the machine's. */
  readonly random?: Random | undefined;
  /** How long a stop may take. */
  readonly shutdown?: ShutdownOptions | undefined;
}

/** Options that a factory makes, from providers of other modules if need be. */
export interface ResilienceModuleAsyncOptions {
  /** Modules whose providers `inject` names. */
  readonly imports?: ModuleMetadata['imports'];
  /** What `useFactory` is called with. */
  readonly inject?: FactoryProvider['inject'];
  /** Makes the options. */
  readonly useFactory: FactoryProvider<ResilienceModuleOptions>['useFactory'];
}

/** Injection token of the checked {@link ResilienceModuleOptions}. */
export const RESILIENCE_OPTIONS = Symbol('RESILIENCE_OPTIONS');

/** Checks {@link ResilienceModuleOptions}. */
export const resilienceOptionsSchema = z.strictObject({
  policies: z.record(z.string().min(1, { error: 'a policy needs a name' }), policyOptionsSchema).optional(),
  clock: z.instanceof(Clock, { error: 'expected an instance of a class that extends Clock' }).optional(),
  random: z.instanceof(Random, { error: 'expected an instance of a class that extends Random' }).optional(),
  shutdown: z.strictObject(shutdownOptionsShape).optional(),
});
