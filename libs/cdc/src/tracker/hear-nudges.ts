import type { Logger } from '@nestjs/common';
import type { PollSignal } from '../poll/poll-signal.js';

/** Nudges are hints: a signal that cannot be listened to, or left, slows a tracker down, and no more. @returns what ends it; never throws. */
export function hearNudges(
  signal: PollSignal,
  table: string,
  onNudge: () => void,
  logger: Pick<Logger, 'warn'>,
): () => void {
  try {
    const unsubscribe = signal.onNudge(table, onNudge);
    return () => {
      try {
        unsubscribe();
      } catch (error) {
        logger.warn(`Nudges may still come (${nameOf(error)}); they do nothing.`);
      }
    };
  } catch (error) {
    logger.warn(`Nudges do not reach it (${nameOf(error)}); it polls.`);
    return () => {};
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
