import type { Clock } from '@smartpulse/resilience';
import { CheckpointExpiredError, EpochNotRaisedError, ResyncRequiredError } from '../cdc.errors.js';
import type { Checkpoint, CheckpointPhase, CheckpointStore } from '../checkpoint/checkpoint.store.js';
import type { LostPosition, ResyncReason } from '../sink/change.sink.js';
import type { ChangePage, ChangeSource } from '../source/change.source.js';
import type { Look, SharedLook } from '../source/shared-look.js';
import { type Circumstances, judge, positionOf, type Seen, seenIn } from './judge.js';
import { type Position, positionAfter, tieDepthAfter } from './keyset.js';
import { Outlet, type Tenure } from './outlet.js';
import { checkPage, snapshotRows } from './page-checks.js';
import { PageLimit } from './page-limit.js';
import { PositionAge } from './position-age.js';
import { ResyncNotes } from './resync-notes.js';
import { SourceView } from './source-view.js';
import type { TrackerTally } from './tracker-tally.js';
import type { ResolvedTrackerOptions } from './tracker.options.js';
import { untilAborted } from './until-aborted.js';

/** Thrown when a newer holder's fence refused a save: this holder is one no more. */
export class FencedSignal extends Error {}

/** What a feed works with. */
export interface FeedParts {
  readonly source: ChangeSource;
  readonly look: SharedLook;
  readonly checkpoints: CheckpointStore;
  readonly clock: Clock;
}

/** `behind` = the next step has work now; `caughtUp` = wait for the next poll. */
export type StepResult = { readonly result: 'behind' | 'caughtUp'; readonly moved: boolean };

type BootstrapPhase = Extract<CheckpointPhase, { kind: 'bootstrap' }>;

/** The rest of a bootstrap after its scan: what changed meanwhile, up to the version at the scan's end. */
interface CatchUp {
  readonly position: Position;
  readonly untilVersion: bigint;
}

/**
 * One holder's reading of one table. Every {@link step} hands off at most one page or chunk and then saves the checkpoint, in that order;
 * a step that threw is repeated from the stored checkpoint after {@link forget}.
 */
export class TableFeed {
  readonly #options: ResolvedTrackerOptions;
  readonly #parts: FeedParts;
  readonly #tenure: Tenure;
  readonly #tally: TrackerTally;
  readonly #outlet: Outlet;
  readonly #pageLimit: PageLimit;
  readonly #chunkLimit: PageLimit;
  readonly #age: PositionAge;
  readonly #notes: ResyncNotes;
  readonly #view: SourceView;
  #checkpoint: Checkpoint | undefined;
  #known: Checkpoint | undefined;
  #catchUp: CatchUp | undefined;
  #scannedRows = 0;
  #pageWasFull = false;
  #announced = false;
  /** The store knows this tenure's fence. */
  #hasSaved = false;
  #wanted: ResyncReason | undefined;
  #lost: LostPosition | undefined;

  constructor(options: ResolvedTrackerOptions, parts: FeedParts, tenure: Tenure, tally: TrackerTally) {
    this.#options = options;
    this.#parts = parts;
    this.#tenure = tenure;
    this.#tally = tally;
    this.#outlet = new Outlet(options, tenure, tally, parts.clock);
    this.#pageLimit = new PageLimit(options.pageSize);
    this.#chunkLimit = new PageLimit(options.chunkSize);
    this.#age = new PositionAge(parts.clock);
    this.#notes = new ResyncNotes(options.consumer, options.table);
    this.#view = new SourceView(options, parts, tenure);
  }

  /** The checkpoint that the next step continues; nothing before the first step and after {@link forget}. */
  get checkpoint(): Checkpoint | undefined {
    return this.#checkpoint;
  }

  /** The checkpoint as last saved or loaded. */
  get known(): Checkpoint | undefined {
    return this.#known;
  }

  /** The database's version as last seen. */
  get currentVersion(): bigint | null {
    return this.#view.currentVersion;
  }

  /** How long the database keeps changes, in milliseconds, as last seen. */
  get retentionMs(): number | null {
    return this.#view.retentionMs;
  }

  /** Milliseconds since the position was the database's version, also before this holder had it; `null` = not known. */
  get upToDateAgoMs(): number | null {
    return this.#age.agoMs;
  }

  get stage(): 'scanning' | 'catchingUp' {
    return this.#catchUp === undefined ? 'scanning' : 'catchingUp';
  }

  /** Rows of the scan that were offered by this holder. */
  get scannedRows(): number {
    return this.#scannedRows;
  }

  /** Milliseconds until the sink wants to hear something. */
  get heartbeatDueInMs(): number {
    return this.#outlet.heartbeatDueInMs;
  }

  /** The table is read anew from the next step on, whatever the checkpoint says. */
  want(reason: ResyncReason): void {
    this.#wanted = reason;
  }

  /** `true` as long as a resync is wanted or runs. */
  get resyncing(): boolean {
    return this.#wanted !== undefined || this.#checkpoint?.phase.kind === 'bootstrap';
  }

  /** The last step took too long: the next one asks for fewer rows. */
  askForLess(): void {
    this.#pageLimit.halve();
    this.#chunkLimit.halve();
  }

  /** Drops what is known of the position: the next step loads it from the store again. */
  forget(): void {
    this.#checkpoint = undefined;
    this.#catchUp = undefined;
    this.#pageWasFull = false;
  }

  /**
   * One page or chunk.
   *
   * @param looked a look that began after the last step, in place of one of its own.
   * @throws what the ports throw, {@link FencedSignal}, or the tenure's abort reason.
   */
  async step(looked?: Promise<Look>): Promise<StepResult> {
    const checkpoint = this.#checkpoint ?? (await this.#open());
    if (checkpoint === undefined) {
      return { result: 'behind', moved: true };
    }
    if (this.#wanted !== undefined) {
      return this.#lose(this.#wanted, checkpoint);
    }
    const { phase } = checkpoint;
    if (phase.kind === 'streaming') {
      return this.#stream(checkpoint, { version: phase.version, cursor: phase.cursor }, looked);
    }
    return this.#catchUp === undefined ? this.#scan(checkpoint, phase) : this.#catch(checkpoint, phase, this.#catchUp);
  }

  /** Loads the position and judges it; answers nothing when the table is read anew instead. */
  async #open(): Promise<Checkpoint | undefined> {
    const { checkpoints, source } = this.#parts;
    const { consumer, table } = this.#options;
    const stored = await this.#ask(checkpoints.load({ consumer, source: source.name, table }));
    const seen = await this.#view.look();
    if (stored !== undefined) {
      this.#known = stored;
      this.#age.stored(stored.upToDateAtMs);
    }
    await this.#view.describe();
    if (!this.#announced) {
      const version = stored?.phase.kind === 'streaming' ? stored.phase.version : null;
      await this.#outlet.announce({ kind: 'started', version }, seen.epoch);
      this.#announced = true;
    }
    if (stored === undefined) {
      await this.#lose('firstStart', undefined);
      return undefined;
    }
    const reason = this.#judge(stored, positionOf(stored), seen);
    if (reason !== null) {
      await this.#lose(reason, stored);
      return undefined;
    }
    this.#checkpoint = stored;
    return stored;
  }

  async #stream(checkpoint: Checkpoint, position: Position, looked: Promise<Look> | undefined): Promise<StepResult> {
    const pageSize = this.#pageLimit.rows;
    if (!this.#pageWasFull) {
      // At once: trackers whose time has come together look together, however long it takes to describe their tables.
      const [seen] = await Promise.all([this.#view.look(looked), this.#view.describeWhenDue()]);
      await this.#view.describeWhenDue();
      const reason = this.#judge(checkpoint, position, seen);
      if (reason !== null) {
        return this.#lose(reason, checkpoint);
      }
      if (position.cursor === null && seen.currentVersion === position.version) {
        this.#age.confirm(seen.askedAtMs);
        if (this.#age.isToBeStored(this.#view.retentionMs)) {
          await this.#keep({ ...checkpoint, upToDateAtMs: this.#age.atMs });
        }
        await this.#heartbeatWhenDue(checkpoint.epoch, position.version);
        return { result: 'caughtUp', moved: false };
      }
    }
    const askedAtMs = this.#parts.clock.now();
    const page = await this.#readPage(position, pageSize);
    const reason = page === null ? 'checkpointExpired' : this.#judge(checkpoint, position, seenIn(page));
    if (page === null || reason !== null) {
      return this.#lose(reason ?? 'checkpointExpired', checkpoint);
    }
    const next = positionAfter(position, page, pageSize);
    await this.#handOff(page);
    const upToDateAtMs = page.changes.length < pageSize ? askedAtMs : this.#age.atMs;
    await this.#save({ ...checkpoint, upToDateAtMs, phase: { kind: 'streaming', ...next } });
    this.#tally.tieDepth = tieDepthAfter(this.#tally.tieDepth, position, page, next);
    this.#pageWasFull = page.changes.length >= pageSize;
    if (this.#pageWasFull) {
      return { result: 'behind', moved: true };
    }
    await this.#heartbeatWhenDue(checkpoint.epoch, next.version);
    return { result: 'caughtUp', moved: page.changes.length > 0 };
  }

  /** One chunk of a bootstrap's scan. */
  async #scan(checkpoint: Checkpoint, phase: BootstrapPhase): Promise<StepResult> {
    const { table } = this.#options;
    const chunkSize = this.#chunkLimit.rows;
    const { source } = this.#parts;
    const reason = this.#judge(checkpoint, positionOf(checkpoint), await this.#view.look());
    if (reason !== null) {
      return this.#lose(reason, checkpoint);
    }
    if (phase.afterKey === null) {
      const { reason: why, fromVersion } = phase;
      await this.#fenceOff(checkpoint);
      await this.#outlet.announce(
        { kind: 'resyncStarted', reason: why, fromVersion, lost: this.#lost },
        checkpoint.epoch,
      );
    }
    const { signal } = this.#tenure;
    const chunk = await this.#ask(source.readChunk({ table, afterKey: phase.afterKey, limit: chunkSize, signal }));
    this.#chunkLimit.succeeded();
    const rows = snapshotRows(source.name, table, checkpoint.epoch, phase.fromVersion, chunk);
    if (rows.length > 0) {
      this.#tally.snapshotRows += await this.#outlet.accept(rows, checkpoint.epoch);
      this.#scannedRows += rows.length;
    }
    await this.#save({ ...checkpoint, phase: { ...phase, afterKey: chunk.lastKey ?? phase.afterKey } });
    if (rows.length < chunkSize) {
      // A crash from here on finds the last key stored, reads an empty chunk and catches up anew.
      const { currentVersion } = await this.#view.look();
      this.#catchUp = { position: positionOf(checkpoint), untilVersion: currentVersion };
    }
    return { result: 'behind', moved: true };
  }

  /** Takes a look that another one made, where it finds nothing to do: no version moved, nothing is asked for, nothing is due. */
  restsAt({ epoch, currentVersion, tables, retentionMs = null, askedAtMs }: Look): boolean {
    const checkpoint = this.#checkpoint;
    const table = tables.get(this.#options.table) ?? null;
    if (checkpoint?.phase.kind !== 'streaming' || table === null || this.#wanted !== undefined || this.#pageWasFull) {
      return false;
    }
    const { version, cursor } = checkpoint.phase;
    const rests =
      cursor === null &&
      currentVersion === version &&
      !this.#heartbeatIsDue &&
      !this.#view.descriptionIsDue(table.definition) &&
      !this.#age.isToBeStored(retentionMs) &&
      this.#judge(checkpoint, { version, cursor }, { epoch, currentVersion, table }) === null;
    if (rests) {
      this.#age.confirm(askedAtMs);
      this.#view.currentVersion = currentVersion;
      this.#view.retentionMs = retentionMs;
    }
    return rests;
  }

  /** One page of what changed during the scan; the table is complete when it reached the version of the scan's end. */
  async #catch(checkpoint: Checkpoint, phase: BootstrapPhase, catchUp: CatchUp): Promise<StepResult> {
    const pageSize = this.#pageLimit.rows;
    const page = await this.#readPage(catchUp.position, pageSize);
    const reason = page === null ? 'checkpointExpired' : this.#judge(checkpoint, catchUp.position, seenIn(page));
    if (page === null || reason !== null) {
      return this.#lose(reason ?? 'checkpointExpired', checkpoint);
    }
    const next = positionAfter(catchUp.position, page, pageSize);
    await this.#handOff(page);
    if (next.cursor !== null && next.version < catchUp.untilVersion) {
      this.#catchUp = { ...catchUp, position: next };
      // Moves nothing, but tells a holder that was fenced off.
      await this.#save(checkpoint);
      return { result: 'behind', moved: true };
    }
    await this.#outlet.announce(
      { kind: 'resyncCompleted', reason: phase.reason, version: next.version },
      checkpoint.epoch,
    );
    await this.#save({ ...checkpoint, phase: { kind: 'streaming', ...next } });
    this.#catchUp = undefined;
    this.#pageWasFull = page.changes.length >= pageSize;
    return { result: 'behind', moved: true };
  }

  /** The position cannot be continued: reads the table anew, or does what the bootstrap mode says instead. */
  async #lose(reason: ResyncReason, stored: Checkpoint | undefined): Promise<StepResult> {
    const { bootstrap, consumer, table, sink } = this.#options;
    const { source } = this.#parts;
    this.forget();
    const asked = this.#wanted !== undefined;
    if (bootstrap === 'initial' && !asked && reason !== 'firstStart' && reason !== 'newSinkInstance') {
      throw new ResyncRequiredError(table, consumer, reason);
    }
    if (reason === 'sourceRolledBack' && stored !== undefined) {
      await this.#raiseEpoch(stored.epoch);
    }
    const schemaHash = await this.#view.describe();
    // Read before the first row: whatever commits later comes again while catching up.
    const { epoch, currentVersion, table: state } = await this.#view.look();
    const { objectId, beginVersion } = state;
    const fresh = {
      consumer,
      source: source.name,
      table,
      epoch,
      objectId,
      beginVersion,
      schemaHash,
      sinkInstance: sink.instance,
      upToDateAtMs: this.#parts.clock.now(),
    };
    const withoutRows = bootstrap === 'never' && !asked;
    this.#lost = this.#notes.note(reason, stored, state, withoutRows);
    if (!(withoutRows && reason === 'firstStart')) {
      this.#tally.resyncBegan(reason);
      this.#scannedRows = 0;
    }
    if (withoutRows) {
      if (stored !== undefined) {
        await this.#skip(reason, stored, fresh.epoch, currentVersion);
      }
      await this.#save({ ...fresh, phase: { kind: 'streaming', version: currentVersion, cursor: null } });
    } else {
      await this.#save({ ...fresh, phase: { kind: 'bootstrap', reason, fromVersion: currentVersion, afterKey: null } });
    }
    this.#wanted = undefined;
    return { result: 'behind', moved: true };
  }

  /** Tells of a resync without rows. */
  async #skip(reason: ResyncReason, stored: Checkpoint, epoch: bigint, version: bigint): Promise<void> {
    await this.#fenceOff(stored);
    await this.#outlet.announce({ kind: 'resyncStarted', reason, fromVersion: version, lost: this.#lost }, epoch);
    await this.#outlet.announce({ kind: 'resyncCompleted', reason, version }, epoch);
  }

  /**
   * From the announcement of a resync on readers ignore hand-offs of lower fences, so that by then no holder of one may save: it would save
   * a position that they have not. Nothing moves.
   */
  async #fenceOff(checkpoint: Checkpoint): Promise<void> {
    if (!this.#hasSaved) {
      await this.#save(checkpoint);
    }
  }

  async #raiseEpoch(from: bigint): Promise<void> {
    const { source } = this.#parts;
    const epoch = await this.#ask(source.raiseEpoch(from));
    if (epoch <= from) {
      throw new EpochNotRaisedError(source.name, from);
    }
  }

  async #readPage(position: Position, limit: number): Promise<ChangePage | null> {
    const { table } = this.#options;
    const { signal } = this.#tenure;
    try {
      const request = { table, after: position.version, cursor: position.cursor, limit, signal };
      const page = await this.#ask(this.#parts.source.readPage(request));
      this.#view.currentVersion = page.upperVersion;
      checkPage(page, request);
      this.#pageLimit.succeeded();
      return page;
    } catch (error) {
      if (CheckpointExpiredError.is(error)) {
        return null;
      }
      throw error;
    }
  }

  async #handOff(page: ChangePage): Promise<void> {
    if (page.changes.length > 0) {
      this.#tally.changes += await this.#outlet.accept(page.changes, page.epoch);
    }
  }

  async #save(checkpoint: Checkpoint): Promise<void> {
    await this.#keep(checkpoint);
    this.#tally.pages += 1;
  }

  async #keep(checkpoint: Checkpoint): Promise<void> {
    const { signal, fence } = this.#tenure;
    signal.throwIfAborted();
    const outcome = await this.#ask(this.#parts.checkpoints.save(checkpoint, fence));
    if (outcome === 'fenced') {
      this.#tally.fenced += 1;
      throw new FencedSignal();
    }
    this.#hasSaved = true;
    this.#age.stored(checkpoint.upToDateAtMs);
    this.#checkpoint = checkpoint;
    this.#known = checkpoint;
  }

  get #heartbeatIsDue(): boolean {
    const { heartbeatIntervalMs, minIntervalMs } = this.#options;
    // A little early rather than by a poll of its own, which no other tracker would share.
    return this.#outlet.heartbeatDueInMs <= Math.min(minIntervalMs, heartbeatIntervalMs / 10);
  }

  async #heartbeatWhenDue(epoch: bigint, version: bigint): Promise<void> {
    if (this.#heartbeatIsDue) {
      await this.#outlet.announce({ kind: 'heartbeat', version }, epoch);
      this.#tally.heartbeats += 1;
    }
  }

  #judge(checkpoint: Checkpoint, position: Position, seen: Seen): ResyncReason | null {
    const circumstances: Circumstances = {
      schemaHash: this.#view.schemaHash ?? checkpoint.schemaHash,
      sinkInstance: this.#options.sink.instance,
    };
    return judge(checkpoint, position, seen, circumstances);
  }

  #ask<T>(work: Promise<T>): Promise<T> {
    return untilAborted(work, this.#tenure.signal);
  }
}
