import type { FactoryProvider, ModuleMetadata } from '@nestjs/common';
import { z } from 'zod';
import type { SyncRole } from './definition/sync-definition.js';
import type { OutboxDefinition } from './outbox/outbox-definition.js';

/** What `DataSyncModule.forRoot` is given. */
export interface DataSyncOptions {
  /**
   * The stable name of the app, the same on all its replicas: consumer id of its checkpoints and prefix of its subscriptions. Lower case,
   * digits, dashes. Renaming it reads every table anew.
   */
  readonly app: string;
  /** How many keys the applier works on at once. Default 16. */
  readonly applyConcurrency?: number | undefined;
  /** How many keys `DataSync.committed` invalidates at once. Default 32. */
  readonly committedConcurrency?: number | undefined;
  /** How many primary keys per `@OnChange` handler are remembered to leave out older changes. Default 100,000. */
  readonly handledKeys?: number | undefined;
}

/** {@link DataSyncOptions} that a factory makes, from providers of other modules if need be. */
export interface DataSyncModuleAsyncOptions {
  /** Modules whose providers `inject` names. */
  readonly imports?: ModuleMetadata['imports'];
  /** What `useFactory` is called with. */
  readonly inject?: FactoryProvider['inject'];
  /** Makes the options. */
  readonly useFactory: FactoryProvider<DataSyncOptions>['useFactory'];
}

/** What `DataSyncModule.forFeature` is given beside the syncs. */
export interface DataSyncFeatureOptions {
  /** What this app does for the syncs. Default: nothing but reading and writing. */
  readonly roles?: readonly SyncRole[] | undefined;
  /** An outbox to relay: its inserted rows are published as plain events. */
  readonly outbox?: OutboxDefinition | undefined;
}

/** {@link DataSyncOptions} with every value filled in. */
export interface ResolvedDataSyncOptions {
  readonly app: string;
  readonly applyConcurrency: number;
  readonly committedConcurrency: number;
  readonly handledKeys: number;
}

/** The defaults of {@link DataSyncOptions}. */
export const DATA_SYNC_DEFAULTS: Readonly<Omit<ResolvedDataSyncOptions, 'app'>> = Object.freeze({
  applyConcurrency: 16,
  committedConcurrency: 32,
  handledKeys: 100_000,
});

const count = (max: number) =>
  z
    .number({ error: `expected a whole number from 1 to ${max}` })
    .int({ error: `expected a whole number from 1 to ${max}` })
    .min(1, { error: 'expected 1 or more' })
    .max(max, { error: `expected at most ${max}` });

/** Names of apps and subscriptions. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,99}$/;

/** Checks {@link DataSyncOptions}. */
export const dataSyncOptionsSchema = z.strictObject({
  app: z
    .string({ error: 'expected the stable name of the app' })
    .regex(NAME_PATTERN, { error: 'expected lower-case letters, digits and dashes, at most 100' }),
  applyConcurrency: count(1_000).optional(),
  committedConcurrency: count(1_000).optional(),
  handledKeys: count(10_000_000).optional(),
});

/** Checks {@link import('./decorators/on-change.decorator.js').OnChangeOptions}. */
export const onChangeOptionsSchema = z.strictObject({
  subscription: z
    .string({ error: 'expected the name of the subscription' })
    .regex(NAME_PATTERN, { error: 'expected lower-case letters, digits and dashes, at most 100' }),
  everyReplica: z.boolean().optional(),
  snapshots: z.boolean().optional(),
  concurrency: count(1_000).optional(),
});

/** Checks {@link DataSyncFeatureOptions}. */
export const featureOptionsSchema = z.strictObject({
  roles: z
    .array(z.enum(['publish', 'apply'], { error: 'expected "publish" or "apply"' }), {
      error: 'expected a list of roles',
    })
    .optional(),
  outbox: z
    .custom<OutboxDefinition>(
      (outbox) => typeof outbox === 'object' && outbox !== null && 'event' in outbox && 'row' in outbox,
      {
        error: 'expected what defineOutbox answers',
      },
    )
    .optional(),
});

/** The resolved options, as an injection token. */
export abstract class DataSyncSettings implements ResolvedDataSyncOptions {
  abstract readonly app: string;
  abstract readonly applyConcurrency: number;
  abstract readonly committedConcurrency: number;
  abstract readonly handledKeys: number;
}

/** Fills the defaults in. */
export function resolveDataSyncOptions(options: DataSyncOptions): ResolvedDataSyncOptions {
  return Object.freeze({
    app: options.app,
    applyConcurrency: options.applyConcurrency ?? DATA_SYNC_DEFAULTS.applyConcurrency,
    committedConcurrency: options.committedConcurrency ?? DATA_SYNC_DEFAULTS.committedConcurrency,
    handledKeys: options.handledKeys ?? DATA_SYNC_DEFAULTS.handledKeys,
  });
}
