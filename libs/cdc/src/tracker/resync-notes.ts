import { Logger } from '@nestjs/common';
import type { Checkpoint } from '../checkpoint/checkpoint.store.js';
import type { LostPosition, ResyncReason } from '../sink/change.sink.js';
import type { TableState } from '../source/change.source.js';
import { positionOf } from './judge.js';

/** Says in the log why a table is read anew, and what is passed over where it is not. */
export class ResyncNotes {
  readonly #logger: Logger;

  constructor(consumer: string, table: string) {
    this.#logger = new Logger(`Resync ${consumer}:${table}`);
  }

  /**
   * @param stored the position that cannot be continued; nothing at a first start.
   * @param skipped the table is not read: what the position had not is never told of.
   * @returns both numbers.
   */
  note(
    reason: ResyncReason,
    stored: Checkpoint | undefined,
    { minValidVersion }: TableState,
    skipped: boolean,
  ): LostPosition | undefined {
    if (stored === undefined) {
      return undefined;
    }
    const position = positionOf(stored).version;
    const numbers = `the position is ${position}, and changes are kept from ${minValidVersion} on`;
    if (skipped) {
      this.#logger.error(
        `What happened since is lost to this consumer, because its bootstrap mode is "never" (${reason}): ${numbers}. Call resync() to read the table anew.`,
      );
    } else {
      this.#logger[reason === 'requested' ? 'log' : 'warn'](`The table is read anew (${reason}): ${numbers}.`);
    }
    return { position, minValidVersion };
  }
}
