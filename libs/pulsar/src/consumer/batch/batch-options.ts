import { z } from 'zod';
import { whole } from '../../pulsar.options.js';
import type { ConsumerOptions } from '../consumer-options.js';
import type { MessageFacts } from '../pulsar-context.js';
import type { Settlement } from '../settlement.js';

/** How messages are gathered for a batch handler. */
export interface BatchOptions {
  /** Messages of a batch, 1 to 10,000. Default 100. */
  readonly maxMessages?: number | undefined;
  /** Payload bytes of a batch; a larger message has a batch for itself. Default 10,485,760 (10 MiB). */
  readonly maxBytes?: number | undefined;
  /** How long the first message of a batch waits for others, milliseconds; later ones do not prolong it. Default 100. */
  readonly maxWaitMs?: number | undefined;
}

/** {@link BatchOptions} with nothing left out. */
export interface BatchDefaults {
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

/** The defaults of {@link BatchOptions}. */
export const BATCH_HANDLER_DEFAULTS: BatchDefaults = Object.freeze({
  maxMessages: 100,
  maxBytes: 10_485_760,
  maxWaitMs: 100,
});

/** Messages that the batches of one consumer may hold at once. */
export const MAX_BATCHED_MESSAGES = 100_000;

/** {@link ConsumerOptions} of a handler that gets several messages at once. */
export type BatchConsumerOptions<T> = Omit<ConsumerOptions<T>, 'batch'> & {
  /** `{}` takes the defaults. */
  readonly batch: BatchOptions;
};

/** What a batch handler knows of its messages beside the payloads. */
export interface PulsarBatchContext {
  /** The full topic name. */
  readonly topic: string;
  /** One for each payload, in the same places. */
  readonly messages: readonly MessageFacts[];
  /** Aborts when the handler's `timeoutMs` is used up or the shutdown's deadline has come: stop, the messages come again. */
  readonly signal: AbortSignal;
}

/**
 * Handles several messages at once: nothing or `ack()` = all are done; {@link BatchItemsFailed} thrown = all but those; another throw = all are
 * handled again; `nack` and `deadLetter` concern all.
 */
export type BatchHandler<T> = (
  payloads: T[],
  context: PulsarBatchContext,
) => Promise<Settlement | void> | Settlement | void;

/** The schema of {@link BatchOptions}. */
export const batchSchema = z.strictObject(
  {
    maxMessages: whole(1, 10_000, 'messages').optional(),
    maxBytes: whole(1, 2_147_483_647, 'bytes').optional(),
    maxWaitMs: whole(0, 3_600_000, 'milliseconds').optional(),
  },
  { error: 'expected { maxMessages?, maxBytes?, maxWaitMs? }' },
);
