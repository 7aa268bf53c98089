import { PollSignal } from '../poll/poll-signal.js';
import type { EmbeddedDatabase } from './embedded.database.js';

/** Nudges on the database object: a writer in one app wakes the trackers of every app on it. */
export class EmbeddedPollSignal extends PollSignal {
  readonly #database: EmbeddedDatabase;

  constructor(database: EmbeddedDatabase) {
    super();
    this.#database = database;
  }

  override nudge(tables: readonly string[]): void {
    this.#database.nudges.nudge(tables);
  }

  override onNudge(table: string, listener: () => void): () => void {
    return this.#database.nudges.onNudge(table, listener);
  }
}
