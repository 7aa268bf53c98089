import { Logger } from '@nestjs/common';
import {
  type ChangeSource,
  type Checkpoint,
  type CheckpointKey,
  CheckpointStore,
  type SaveOutcome,
} from '@smartpulse/cdc';
import { placeOf } from './checkpoint-place.js';
import { keyParts, recordName } from './checkpoint-text.js';
import type { OutsideCopy } from './outside-copy.js';

/**
 * Positions in the database, and a copy outside of it. Saved inside first: so the copy is never ahead, unless the database was set back. Whoever finds it
 * ahead begins a new epoch, also when the counter has grown past the copy again meanwhile; every table of the database is then read anew.
 *
 * While the copy cannot be reached, positions are saved inside alone: it lags, and says less. Only the first save that finds it so waits for that; the
 * others leave what it lacks to one attempt at a time, which nobody waits for. Without a look at it nobody begins to read, so {@link load} rejects.
 */
export class DoubledCheckpointStore extends CheckpointStore {
  readonly #logger = new Logger(DoubledCheckpointStore.name);
  readonly #inside: CheckpointStore;
  readonly #outside: OutsideCopy;
  readonly #source: ChangeSource;
  #failures = 0;
  /** The last position of each table that the copy has not, since it could not be reached. */
  readonly #lacking = new Map<string, Checkpoint>();
  #catchingUp = false;

  /** @param source raises its epoch by the outside copy's decision: an {@link OutsideEpochChangeSource}. */
  constructor(inside: CheckpointStore, outside: OutsideCopy, source: ChangeSource) {
    super();
    this.#inside = inside;
    this.#outside = outside;
    this.#source = source;
  }

  override get durable(): boolean {
    return this.#inside.durable;
  }

  /** @throws what either copy throws. */
  override async load(key: CheckpointKey): Promise<Checkpoint | undefined> {
    const copy = await this.#outside.load(key);
    // Later than the copy: what is saved meanwhile by another holder must not make it look ahead.
    const { epoch } = await this.#source.state([]);
    const checkpoint = await this.#inside.load(key);
    if (copy !== undefined && copy.epoch >= epoch && isBehind(checkpoint, copy)) {
      const next = await this.#source.raiseEpoch(copy.epoch);
      this.#logger.warn(
        `The database "${key.source}" was set back: "${key.consumer}" had come further in ${key.table} than it knows. Epoch ${next} begins, and every table is read anew.`,
      );
    }
    return checkpoint;
  }

  override async save(checkpoint: Checkpoint, fence: bigint): Promise<SaveOutcome> {
    const outcome = await this.#inside.save(checkpoint, fence);
    if (outcome === 'saved') {
      await this.#copy(checkpoint);
    }
    return outcome;
  }

  async #copy(checkpoint: Checkpoint): Promise<void> {
    if (this.#failures === 0) {
      await this.#attempt(checkpoint);
      return;
    }
    this.#lacking.set(nameOf(checkpoint), checkpoint);
    if (!this.#catchingUp) {
      void this.#catchUp();
    }
  }

  /** Until the copy has everything, or cannot be reached again. Never rejects. */
  async #catchUp(): Promise<void> {
    this.#catchingUp = true;
    // A position that moved on meanwhile stays at its place, and is taken again.
    for (let [next] = this.#lacking; next !== undefined; [next] = this.#lacking) {
      const [name, checkpoint] = next;
      if (!(await this.#attempt(checkpoint))) {
        break;
      }
      if (this.#lacking.get(name) === checkpoint) {
        this.#lacking.delete(name);
      }
    }
    this.#catchingUp = false;
  }

  /** Whether the copy has it now. */
  async #attempt(checkpoint: Checkpoint): Promise<boolean> {
    try {
      await this.#outside.save(checkpoint);
      this.#failures = 0;
      return true;
    } catch (error) {
      const lacking = this.#lacking.get(nameOf(checkpoint));
      this.#lacking.set(
        nameOf(checkpoint),
        lacking !== undefined && !isBehind(lacking, checkpoint) ? lacking : checkpoint,
      );
      this.#failures += 1;
      // The first of a row and then ever more seldom: an outage must not fill the log.
      if ((this.#failures & (this.#failures - 1)) === 0) {
        this.#logger.warn(
          `The outside copy of the positions lags (${this.#failures} not saved): ${error instanceof Error ? error.message : String(error)}`,
        );
      }
      return false;
    }
  }
}

function nameOf(checkpoint: Checkpoint): string {
  return recordName('position', ...keyParts(checkpoint));
}

function isBehind(checkpoint: Checkpoint | undefined, copy: Checkpoint): boolean {
  return checkpoint === undefined || placeOf(checkpoint).compare(placeOf(copy)) < 0;
}
