import { z } from 'zod';
import type { MessageFacts } from '../consumer/pulsar-context.js';
import { DedupeStore } from './dedupe.store.js';

/** How a consumer recognises what it has handled already. */
export interface DedupeOptions {
  readonly store: DedupeStore;
  /**
   * What makes two deliveries the same message, within this subscription. Default: the publisher's `idempotencyKey`, which also recognises what was published
   * twice; without one the identifier of the (first) message, which recognises what was delivered twice.
   */
  readonly key?: ((message: MessageFacts) => string) | undefined;
  /** How long handled messages are remembered, milliseconds. Default 1,800,000 (30 minutes). */
  readonly ttlMs?: number | undefined;
}

/** {@link DedupeOptions} with nothing left out. */
export interface DedupeDefaults {
  readonly ttlMs: number;
}

/** The defaults of {@link DedupeOptions}. */
export const DEDUPE_DEFAULTS: DedupeDefaults = Object.freeze({ ttlMs: 1_800_000 });

const MONTH_MS = 30 * 86_400_000;
const TTL = `expected a whole number of milliseconds, 1 to ${MONTH_MS}`;

export const dedupeSchema = z.strictObject(
  {
    store: z.instanceof(DedupeStore, { error: 'expected an instance of a class that extends DedupeStore' }),
    key: z
      .custom<(message: MessageFacts) => string>((value) => typeof value === 'function', {
        error: 'expected a function',
      })
      .optional(),
    ttlMs: z.number({ error: TTL }).int({ error: TTL }).min(1, { error: TTL }).max(MONTH_MS, { error: TTL }).optional(),
  },
  { error: 'expected { store, key?, ttlMs? }' },
);
