import { PulsarError } from '../pulsar.errors.js';

/** What a handler may answer instead of nothing: nothing and {@link ack} mean done. */
export type Settlement =
  | { readonly settlement: 'ack' }
  | { readonly settlement: 'nack'; readonly delayMs: number }
  | { readonly settlement: 'deadLetter'; readonly reason: string };

const DAY_MS = 86_400_000;
const ACK: Settlement = Object.freeze({ settlement: 'ack' });

/** Done: the message is acknowledged. The same as answering nothing. */
export function ack(): Settlement {
  return ACK;
}

/**
 * Gives the message back; it comes again no sooner than `delayMs` milliseconds from now, perhaps to another consumer, and no longer in
 * the order of its key. It counts as an attempt: after `maxAttempts` of them the message is dead-lettered.
 *
 * @throws PulsarError when `delayMs` is no number from 0 to 86,400,000 (a day).
 */
export function nack(delayMs = 0): Settlement {
  if (!(delayMs >= 0 && delayMs <= DAY_MS)) {
    throw new PulsarError('SMARTPULSE_PULSAR_INVALID_OPTIONS', 'nack(delayMs): that is no delay.', {
      kind: 'permanent',
      remedy: `Give a number of milliseconds from 0 to ${DAY_MS}, a day.`,
    });
  }
  return { settlement: 'nack', delayMs };
}

/** Sends the message to the dead letter topic at once, with `reason` in its headers. */
export function deadLetter(reason: string): Settlement {
  return { settlement: 'deadLetter', reason };
}

/** What a handler may answer, and what those that stand in front of one may. */
export type HandlerAnswer =
  | Settlement
  /** It was handled before: acknowledged, and counted. */
  | { readonly settlement: 'duplicate' }
  /** Another one handles it: given back, without an attempt spent. */
  | { readonly settlement: 'later'; readonly delayMs: number };

export const DUPLICATE: HandlerAnswer = Object.freeze({ settlement: 'duplicate' });

export function later(delayMs: number): HandlerAnswer {
  return { settlement: 'later', delayMs };
}

const SETTLEMENTS: ReadonlySet<unknown> = new Set<HandlerAnswer['settlement']>([
  'ack',
  'nack',
  'deadLetter',
  'duplicate',
  'later',
]);

/** Whether what a handler answered is a settlement; anything else means done. */
export function isSettlement(value: unknown): value is HandlerAnswer {
  return typeof value === 'object' && value !== null && 'settlement' in value && SETTLEMENTS.has(value.settlement);
}
