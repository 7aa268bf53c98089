import {
  type ChangePage,
  ChangeSource,
  type ChunkRequest,
  type FailureKind,
  type PageRequest,
  type SourceState,
  type TableChunk,
  type TableDescription,
} from '@smartpulse/cdc';
import type { OutsideCopy } from './outside-copy.js';

/** A source whose epochs are decided outside of its database: what the database knows of them is set back with it. */
export class OutsideEpochChangeSource extends ChangeSource {
  readonly #source: ChangeSource;
  readonly #outside: OutsideCopy;

  constructor(source: ChangeSource, outside: OutsideCopy) {
    super();
    this.#source = source;
    this.#outside = outside;
  }

  override get name(): string {
    return this.#source.name;
  }

  override describe(table: string): Promise<TableDescription> {
    return this.#source.describe(table);
  }

  override state(tables: readonly string[]): Promise<SourceState> {
    return this.#source.state(tables);
  }

  override readPage(request: PageRequest): Promise<ChangePage> {
    return this.#source.readPage(request);
  }

  override readChunk(request: ChunkRequest): Promise<TableChunk> {
    return this.#source.readChunk(request);
  }

  /** The outside copy decides, then the database takes it over: after a crash in between the next one finds what was decided. */
  override async raiseEpoch(from: bigint, atLeast = 0n): Promise<bigint> {
    const decided = await this.#outside.raiseEpoch(this.name, from);
    const epoch = await this.#source.raiseEpoch(from, decided > atLeast ? decided : atLeast);
    if (epoch > decided) {
      await this.#outside.noteEpoch(this.name, epoch);
    }
    return epoch;
  }

  override failureOf(error: unknown): FailureKind {
    return this.#source.failureOf(error);
  }

  override close(): Promise<void> {
    return this.#source.close();
  }
}
