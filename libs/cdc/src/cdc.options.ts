import type { FactoryProvider, ModuleMetadata, Type } from '@nestjs/common';
import { z } from 'zod';
import { CheckpointStore } from './checkpoint/checkpoint.store.js';
import { Leadership } from './leadership/leadership.js';
import { PollSignal } from './poll/poll-signal.js';
import { ChangeSink } from './sink/change.sink.js';
import { ChangeSource } from './source/change.source.js';
import { StampedReader } from './stamp/stamped.reader.js';
import type { PoisonHandler, TrackerOptions, TrackerTuning } from './tracker/tracker.options.js';

/** Token of the checked options. */
export const CDC_OPTIONS = Symbol('smartpulse:cdc:options');

/** The parts that change capture works with; an adapter package answers all of them at once (`embeddedCdc(database)`). */
export interface CdcModuleOptions {
  /** Where changes come from. Closed with the app, which ends only what the source itself opened. */
  readonly source: ChangeSource;
  /** Where positions are kept. */
  readonly checkpoints: CheckpointStore;
  /** Who may read a table, among all replicas. */
  readonly leadership: Leadership;
  /** How writers nudge trackers. Default: within this app. */
  readonly pollSignal?: PollSignal | undefined;
  /** Reads data with its stamp. Needed by readers of a synchronised cache. */
  readonly stampedReader?: StampedReader | undefined;
  /** What every tracker is tuned by unless its own options say otherwise. */
  readonly tracker?: TrackerTuning | undefined;
}

/** {@link CdcModuleOptions} that a factory makes, from providers of other modules if need be. */
export interface CdcModuleAsyncOptions {
  /** Modules whose providers `inject` names. */
  readonly imports?: ModuleMetadata['imports'];
  /** What `useFactory` is called with. */
  readonly inject?: FactoryProvider['inject'];
  /** Makes the options. */
  readonly useFactory: FactoryProvider<CdcModuleOptions>['useFactory'];
}

/** A tracker of a feature module: its sink is a provider, named by its class. */
export interface FeatureTracker extends TrackerTuning, Pick<TrackerOptions, 'consumer' | 'table'> {
  /** Where the changes go: a class that extends `ChangeSink`, provided by any module of the app. */
  readonly sink: Type<ChangeSink>;
}

const whole = (least: number, most: number, unit: string) =>
  z
    .int(`expected a whole number of ${unit} from ${least} to ${most}`)
    .min(least, `expected a whole number of ${unit} from ${least} to ${most}`)
    .max(most, `expected a whole number of ${unit} from ${least} to ${most}`);

const DAY_MS = 86_400_000;

const backoff = z.strictObject({
  initialMs: whole(1, DAY_MS, 'milliseconds'),
  multiplier: z
    .number('expected a factor of 1 to 10')
    .min(1, 'expected a factor of 1 to 10')
    .max(10, 'expected a factor of 1 to 10'),
  maxMs: whole(1, DAY_MS, 'milliseconds'),
  jitter: z.enum(['none', 'equal', 'full'], 'expected "none", "equal" or "full"'),
});

const callable = <T>(shape: string) => z.custom<T>((value) => typeof value === 'function', `expected ${shape}`);

const tuning = {
  pageSize: whole(1, 10_000, 'changes').optional(),
  chunkSize: whole(1, 10_000, 'rows').optional(),
  minIntervalMs: whole(1, DAY_MS, 'milliseconds').optional(),
  maxIntervalMs: whole(1, DAY_MS, 'milliseconds').optional(),
  heartbeatIntervalMs: whole(10, DAY_MS, 'milliseconds').optional(),
  bootstrap: z
    .enum(['whenNeeded', 'initial', 'always', 'never'], 'expected "whenNeeded", "initial", "always" or "never"')
    .optional(),
  errorBackoff: backoff.optional(),
  leaseRetry: backoff.optional(),
  onPoison: callable<PoisonHandler>('a function').optional(),
  maxAttempts: whole(1, 1_000, 'attempts').optional(),
};

const orderedIntervals = (options: {
  minIntervalMs?: number | undefined;
  maxIntervalMs?: number | undefined;
}): boolean => (options.minIntervalMs ?? 250) <= (options.maxIntervalMs ?? 30_000);
const ORDERED = { path: ['minIntervalMs'], message: 'expected at most maxIntervalMs (default 30000)' };

const part = <T>(port: abstract new () => T) =>
  z.custom<T>((value) => value instanceof port, `expected an object that extends ${port.name}`);

/** Checks what `CdcModule.forRoot` is given. */
export const cdcOptionsSchema = z.strictObject({
  source: part(ChangeSource),
  checkpoints: part(CheckpointStore),
  leadership: part(Leadership),
  pollSignal: part(PollSignal).optional(),
  stampedReader: part(StampedReader).optional(),
  tracker: z.strictObject(tuning).refine(orderedIntervals, ORDERED).optional(),
});

/** A consumer's name. */
export const consumerSchema = z
  .string('expected a name')
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$/,
    'expected 1 to 120 letters, digits, ".", "_" or "-", beginning with a letter or digit',
  );

/** A table's name. */
export const tableSchema = z
  .string('expected "schema.name"')
  .regex(
    /^[A-Za-z_][\w$#@]{0,127}\.[A-Za-z_][\w$#@]{0,127}$/,
    'expected "schema.name" with plain identifiers, like "dbo.forecast"',
  );

/** Checks what `CdcRegistry.track` is given. */
export const trackerOptionsSchema = z.strictObject({
  consumer: consumerSchema,
  table: tableSchema,
  sink: part(ChangeSink),
  startAfter: callable<() => Promise<void>>('a function that answers a promise').optional(),
  ...tuning,
});

/** Checks what `CdcModule.forFeature` is given. */
export const featureTrackersSchema = z.array(
  z.strictObject({
    consumer: consumerSchema,
    table: tableSchema,
    sink: callable<Type<ChangeSink>>('the class of a provider that extends ChangeSink'),
    ...tuning,
  }),
  'expected a list of trackers',
);

/** Checks what `@OnTableChange` is given. */
export const tableHandlerSchema = z.strictObject({
  table: tableSchema,
  consumer: consumerSchema.optional(),
  batch: z.boolean('expected true or false').optional(),
  ...tuning,
});
