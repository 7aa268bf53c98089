import type { Clock, Timer } from '../client/time.js';
import { Fifo } from '../collections/fifo.js';
import type { HandedOutId } from './handed-out-id.js';
import { type EntryId, LogGaps, stands } from './log-gaps.js';
import type { TopicEnd } from './topic-end.js';

/** How often everything is asked for again before the consumer registers anew: a log may have gaps of its own. */
const MOST_ASKS = 2;
/** After so long without an entry the broker is asked whether there is one. Milliseconds. */
const QUIET_MS = 1_000;
/** Where it has registered anew and nothing comes for so long behind what came, the log has nothing there. Milliseconds. */
const PROOF_MS = 5_000;
/** Entries of which is known that they have to come again; of what an application holds beyond that it is not. */
const MOST_HELD = 8_192;
/** So many entries later, those that are acknowledged are sorted out, where they do not leave in order. */
const TIDY_AFTER = 1_024;

/** What {@link SkippedEntries} needs of its consumer. */
export interface SkippedEntriesPort {
  readonly clock: Clock;
  /** Whether the broker may send. */
  isReceiving(): boolean;
  /** Where the topic ends. */
  end(): Promise<TopicEnd>;
  /**
   * Entries are missing: everything is to be given back once more. Where that did not help, the consumer is to register anew: the broker begins with
   * what is unacknowledged then, whatever it is reading.
   */
  onSkipped(again: 'giveBack' | 'registerAnew', cause: unknown): void;
}

/**
 * Notices entries that a broker skips on Exclusive and Failover. While everything is given back, a read of the log may be on its way, which moves the
 * cursor when it ends; what lies between where it was set back to and there comes neither before nor after, until everything is given back once more
 * (seen with Pulsar 4.2.4). So what was given back has to come again in its order, the first new entry has to follow the last one
 * that was received before, and where nothing comes at all the end of the topic has to be behind us.
 *
 * A log may have gaps of its own. While nothing is in doubt the broker reads straight on, so what is left out then is one, and is not asked for where it is
 * left out again. A gap that is met in doubt costs asking, until registering anew has ended the doubt.
 */
export class SkippedEntries {
  /** One message of each entry that came and is not known to be acknowledged, in their order. */
  readonly #held = new Fifo<HandedOutId>();
  /** Of those that were given back the ones that have not come again. They stand behind all that is held. */
  readonly #owed = new Fifo<HandedOutId>();
  /** As the entry that has just come again was delivered before. */
  #earlier: HandedOutId | undefined;
  #arrivals = 0;
  #lastLedger = -1n;
  #lastEntry = -1n;
  #isActive: boolean | undefined;
  /** Everything was given back, and the end of the topic was not seen to be behind us since. */
  #isDoubtful = false;
  #asks = 0;
  /** How often in a row the broker did not say where the topic ends, since everything was given back. */
  #unanswered = 0;
  /** What the log is known to have nothing in. */
  readonly #gaps = new LogGaps();
  /** It registered anew: whether the log ends in a gap is to be seen once nothing comes any more. */
  #isProving = false;
  #timer: Timer | undefined;
  /** Something came since the timer was set. */
  #isBusy = false;
  /** Counts what makes an answer about the end of the topic old news. */
  #round = 0;

  constructor(private readonly port: SkippedEntriesPort) {}

  /** Nothing came since the broker began with what is unacknowledged: there is nothing to give back. */
  get isEmpty(): boolean {
    return this.#lastLedger < 0n;
  }

  /** Entries and gaps that are remembered. */
  get size(): number {
    return this.#held.size + this.#owed.size + this.#gaps.size;
  }

  /** The broker begins with what is unacknowledged, and nothing is under way. */
  reset(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#round++;
    this.#held.takeAll();
    this.#owed.takeAll();
    this.#lastLedger = -1n;
    this.#isDoubtful = false;
    this.#asks = 0;
  }

  /** As {@link reset}, and what is acknowledged may come again. */
  sought(): void {
    this.reset();
    this.#gaps.clear();
    this.#isProving = false;
  }

  /** Another consumer receives now, or this one does so again, from what is unacknowledged. */
  activeChanged(isActive: boolean): void {
    if (isActive !== (this.#isActive ?? true)) {
      this.reset();
    }
    this.#isActive = isActive;
  }

  /** Everything that is unacknowledged was given back. */
  givenBack(): void {
    const owed = [...this.#held.takeAll(), ...this.#owed.takeAll()];
    owed
      .filter((id) => !id.isEntryDone)
      .slice(0, MOST_HELD)
      .forEach((id) => this.#owed.push(id));
    if (!this.#isDoubtful) {
      this.#timer?.cancel();
      this.#timer = undefined;
    }
    this.#isDoubtful = true;
    this.#unanswered = 0;
    this.#round++;
    this.#watch();
  }

  /** Takes note of an entry that came. @returns whether it is to be dropped, because entries in front of it were skipped. */
  precede(entry: EntryId): boolean {
    if (this.#lacksBefore(entry)) {
      this.#ask('The broker skipped entries while it was giving back.');
      return true;
    }
    if (this.#isProving) {
      this.#watch();
    }
    this.#isBusy = true;
    const { first } = this.#owed;
    const isOwed = first !== undefined && first.ledgerId === entry.ledgerId && first.entryId === entry.entryId;
    this.#earlier = isOwed ? this.#owed.shift() : undefined;
    if (this.#isNew(entry)) {
      this.#learn(entry);
      this.#lastLedger = entry.ledgerId;
      this.#lastEntry = entry.entryId;
    }
    return false;
  }

  /** The first message of an entry that is to be acknowledged. */
  hold(id: HandedOutId | undefined): void {
    if (++this.#arrivals >= Math.max(TIDY_AFTER, this.#held.size)) {
      this.#arrivals = 0;
      const held = this.#held.takeAll();
      held.filter((one) => !one.isEntryDone).forEach((one) => this.#held.push(one));
    }
    if (id !== undefined && this.#earlier !== undefined) {
      id.noteEarlier(this.#earlier);
    }
    if (id !== undefined && this.#held.size < MOST_HELD) {
      this.#held.push(id);
    }
  }

  /** Something was acknowledged: what is done with in front leaves. */
  acknowledged(): void {
    while (this.#held.first?.isEntryDone === true) {
      this.#held.shift();
    }
  }

  /** Everything before an entry is acknowledged. */
  acknowledgedBefore(entry: EntryId): void {
    for (const ids of [this.#held, this.#owed]) {
      while (ids.first !== undefined && stands(ids.first, entry) < 0) {
        ids.shift();
      }
    }
    this.acknowledged();
  }

  get #last(): EntryId {
    return { ledgerId: this.#lastLedger, entryId: this.#lastEntry };
  }

  #isNew({ ledgerId, entryId }: EntryId): boolean {
    return ledgerId > this.#lastLedger || (ledgerId === this.#lastLedger && entryId > this.#lastEntry);
  }

  #lacksBefore(entry: EntryId): boolean {
    for (let owed = this.#owed.first; owed !== undefined && stands(owed, entry) < 0; owed = this.#owed.first) {
      if (!owed.isEntryDone) {
        return true;
      }
      this.#owed.shift();
    }
    return this.#isDoubtful && this.#leavesOut(entry) && !this.#gaps.covers(this.#last, entry);
  }

  /** Whether it does not follow the last new one. */
  #leavesOut(entry: EntryId): boolean {
    const next = entry.ledgerId === this.#lastLedger ? this.#lastEntry + 1n : 0n;
    return !this.isEmpty && this.#isNew(entry) && entry.entryId !== next;
  }

  /** What is left out and was not asked for is a gap. */
  #learn(entry: EntryId): void {
    this.#gaps.came(entry);
    if (this.#leavesOut(entry)) {
      this.#gaps.learn(this.#last, entry);
    }
  }

  /** Whether something in front of the end of the topic has not come. */
  #lacksAtEnd({ last, passed }: TopicEnd): boolean {
    const isBehind = !this.#isNew(last) || (passed !== undefined && stands(last, passed) <= 0);
    return this.#owes(passed) || (!isBehind && !this.#gaps.coversEnd(this.#last, last));
  }

  /** Whether something that was given back and is not acknowledged has not come again. */
  #owes(passed: EntryId | undefined): boolean {
    for (let owed = this.#owed.first; owed !== undefined; owed = this.#owed.first) {
      if (!owed.isEntryDone && (passed === undefined || stands(owed, passed) > 0)) {
        return true;
      }
      this.#owed.shift();
    }
    return false;
  }

  #watch(): void {
    this.#isBusy = false;
    this.#timer ??= this.port.clock.setTimer(this.#isDoubtful ? QUIET_MS : PROOF_MS, () => {
      this.#timer = undefined;
      // Never rejects: where the broker does not say, only what is owed is asked for again.
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    if (this.#isBusy || !this.port.isReceiving()) {
      return this.#watch();
    }
    const round = this.#round;
    let end: TopicEnd | undefined;
    let cause: unknown = 'The broker sends no more of what was given back.';
    try {
      end = await this.port.end();
    } catch (error) {
      cause = error;
    }
    if (round !== this.#round) {
      return;
    }
    if (this.#isBusy || !this.port.isReceiving()) {
      return this.#watch();
    }
    // Of what is owed we know by ourselves. Whether there is more the next entry tells, which has to follow the last one.
    const lacks = end === undefined ? this.#owes(undefined) : this.#lacksAtEnd(end);
    if (lacks && this.#isDoubtful) {
      this.#ask(cause);
    } else if (end !== undefined) {
      if (lacks) {
        this.#gaps.learnEnd(this.#last, end.last);
      }
      this.#isDoubtful = false;
      this.#isProving = false;
      this.#asks = 0;
    } else if (++this.#unanswered <= MOST_ASKS) {
      this.#watch();
    } else {
      this.#isProving = false;
    }
  }

  #ask(cause: unknown): void {
    const isEnough = ++this.#asks > MOST_ASKS;
    if (isEnough) {
      this.#isProving = true;
      this.#unanswered = 0;
    }
    this.port.onSkipped(isEnough ? 'registerAnew' : 'giveBack', cause);
  }
}
