import { Logger } from '@nestjs/common';
import type { Clock } from '@smartpulse/resilience';
import { EmbeddedDatabaseClosedError } from '../embedded.errors.js';
import { nextLoopTurn } from '../turn/next-loop-turn.js';
import type { StatementRunner } from '../turn/statement-runner.js';
import type { Turns } from '../turn/turns.js';
import type { ChangeLog } from './change-log.js';

/** Commits between two looks at what may be forgotten. */
const EVERY = 64n;
/** How long it holds the connection at least, if there is that much to do, in milliseconds. */
const HELD_MS = 250;

/** What a clean-up did. */
export interface CleanUpReport {
  /** Readers whose position is below must read their table anew. */
  readonly minValidVersion: bigint;
  /** Rows of the log that are gone. */
  readonly deleted: number;
}

/** What it works on. */
export interface SweeperParts {
  readonly database: string;
  readonly clock: Clock;
  readonly turns: Turns;
  readonly statements: StatementRunner;
  readonly log: ChangeLog;
  /** Aborts when the database is to close: what is left to do is done after it is opened again. */
  readonly closing: AbortSignal;
  /** `false` = only on request. */
  readonly retentionMs: number | false;
  readonly turnTimeoutMs: number;
}

/**
 * Forgets old changes, in steps of some milliseconds between which the event loop turns. As commits come it does so by itself, without
 * a timer of its own. It may hold the connection for twice as long as the others had it since its last time, so that it forgets faster than
 * they can write: the log stays bounded by the retention, however large their transactions are.
 */
export class LogSweeper {
  readonly #logger = new Logger(LogSweeper.name);
  readonly #parts: SweeperParts;
  #sweeping: Promise<void> | undefined;
  #sweptAt = 0n;
  #endedMs: number;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
    this.#endedMs = parts.clock.monotonic();
  }

  /** Called at the end of a writer's turn. Never throws, never waits. */
  committed(): void {
    const { log, retentionMs } = this.#parts;
    if (retentionMs !== false && this.#sweeping === undefined && log.version >= this.#sweptAt + EVERY) {
      this.#sweeping = this.#sweepInBackground(retentionMs);
    }
  }

  /** Forgets what is older than `retentionMs`. */
  async sweep(retentionMs: number): Promise<CleanUpReport> {
    const { turns, log, database } = this.#parts;
    let minValidVersion: bigint | undefined;
    let deleted = 0;
    for (;;) {
      const turn = await turns.take(`${database}: cleanUp`);
      try {
        minValidVersion ??= log.expiredVersion(retentionMs);
        const part = await this.#sweepTurn(minValidVersion, () => turn.isHeld);
        deleted += part.deleted;
        if (part.finished) {
          return { minValidVersion, deleted };
        }
      } finally {
        turn.giveBack();
      }
    }
  }

  async #sweepTurn(
    version: bigint,
    isHeld: () => boolean,
  ): Promise<{ readonly deleted: number; readonly finished: boolean }> {
    const { clock, closing, turnTimeoutMs, statements, log } = this.#parts;
    const beganMs = clock.monotonic();
    const untilMs = beganMs + Math.min(turnTimeoutMs / 2, Math.max(HELD_MS, 2 * (beganMs - this.#endedMs)));
    let deleted = 0;
    let finished = false;
    while (!finished && isHeld() && !closing.aborted && clock.monotonic() <= untilMs) {
      const step = statements.transact(null, () => log.cleanUpStep(version));
      deleted += step.deleted;
      finished = step.finished;
      if (!finished) {
        await nextLoopTurn();
      }
    }
    this.#endedMs = clock.monotonic();
    return { deleted, finished };
  }

  async #sweepInBackground(retentionMs: number): Promise<void> {
    try {
      const { version } = this.#parts.log;
      await this.sweep(retentionMs);
      this.#sweptAt = version;
    } catch (error) {
      if (!EmbeddedDatabaseClosedError.is(error)) {
        // The writer after whose turn this began has committed: nothing of its own failed.
        this.#sweptAt = this.#parts.log.version;
        this.#logger.error(`Old changes of "${this.#parts.database}" could not be cleaned up.`, error);
      }
    } finally {
      this.#sweeping = undefined;
    }
  }
}
