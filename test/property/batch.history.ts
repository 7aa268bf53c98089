import { getEventListeners } from 'node:events';

/** Abort signals that a history uses at a time. */
export const SIGNALS = 3;

/** The controllers of a history's signals. */
export const newSignals = (): AbortController[] => Array.from({ length: SIGNALS }, () => new AbortController());
/** Listeners that are left on them. */
export const listenersOn = (controllers: readonly AbortController[]): number =>
  controllers.reduce((sum, { signal }) => sum + getEventListeners(signal, 'abort').length, 0);

/** What was broken inside a handler or a callback, where a throw would only count as its failure. */
export class Violations {
  readonly found: string[] = [];

  mustHold(holds: boolean, sentence: string): void {
    if (!holds) {
      this.found.push(sentence);
    }
  }
}
