import { VirtualClock } from '@smartpulse/resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HandedOutId } from './handed-out-id.js';
import { SkippedEntries } from './skipped-entries.js';

const LEDGER = 7n;
/** What one doubt may cost: everything is given back twice, then it registers anew. */
const ASKS = 3;

/** A read of the log that is on its way; it ends whatever happens, and moves the cursor then. */
interface Read {
  readonly from: number;
  readonly to: number;
  readonly epoch: number;
}

/**
 * How a broker of Pulsar 4.2 serves the only consumer of a subscription: giving back sets its cursor back and begins another read, and one that was under way still
 * moves the cursor when it ends, though nothing of it is sent. With a consumer that does as `TopicConsumer` does.
 */
class Subscription {
  readonly clock = new VirtualClock();
  readonly handedOut: number[] = [];
  asks = 0;
  registrations = 1;
  nacks = 0;
  #length = 0;
  /** Entries that the broker keeps to itself, as the markers of transactions. */
  readonly #markers = new Set<number>();
  readonly #acknowledged = new Set<number>();
  #cursor = 0;
  #epoch = 0;
  #isReading = false;
  #reads: Read[] = [];
  #sent: { readonly entry: number; readonly epoch: number }[] = [];
  #held = new Map<number, HandedOutId>();
  /** What was out when everything was given back. */
  #earlier: readonly HandedOutId[] = [];
  readonly #skipped = new SkippedEntries({
    clock: this.clock,
    isReceiving: () => true,
    end: async () => ({ last: idOf(this.#length - 1), passed: idOf(this.#first() - 1) }),
    onSkipped: (again) => {
      this.asks++;
      if (again === 'giveBack') {
        this.giveBack();
      } else {
        this.#registerAnew();
      }
    },
  });

  publish(count: number): void {
    this.#length += count;
  }

  mark(count: number): void {
    for (let some = 0; some < count; some++) {
      this.#markers.add(this.#length++);
    }
  }

  read(count: number): void {
    const to = Math.min(this.#length, this.#cursor + count);
    if (!this.#isReading && to > this.#cursor) {
      this.#isReading = true;
      this.#reads.push({ from: this.#cursor, to, epoch: this.#epoch });
    }
  }

  endRead(which: number): void {
    const [read] = this.#reads.splice(which % Math.max(1, this.#reads.length), 1);
    if (read === undefined) {
      return;
    }
    this.#isReading = false;
    this.#cursor = read.to;
    for (let entry = read.from; entry < read.to && read.epoch === this.#epoch; entry++) {
      if (!this.#isOver(entry)) {
        this.#sent.push({ entry, epoch: read.epoch });
      }
    }
  }

  receive(count: number): void {
    for (let some = 0; some < count; some++) {
      const next = this.#sent.shift();
      if (next === undefined) {
        return;
      }
      const id = idOf(next.entry);
      if (next.epoch !== this.#epoch || this.#skipped.precede(id)) {
        continue;
      }
      for (let before = 0; before < next.entry; before++) {
        if (!this.#isOver(before) && !this.#held.has(before)) {
          throw new Error(`${next.entry} came before ${before}`);
        }
      }
      this.#skipped.hold(id);
      this.#held.set(next.entry, id);
      this.handedOut.push(next.entry);
    }
  }

  acknowledge(which: number): void {
    const entries = [...this.#held.keys()];
    const entry = entries[which % Math.max(1, entries.length)];
    if (entry !== undefined) {
      this.#held.get(entry)?.noteAcknowledged();
      this.#held.delete(entry);
      this.#skipped.acknowledged();
      this.#acknowledged.add(entry);
    }
  }

  /** A handler that runs on acknowledges a message that was given back meanwhile, and has perhaps come again. */
  acknowledgeLate(which: number): void {
    const id = this.#earlier[which % Math.max(1, this.#earlier.length)];
    if (id !== undefined) {
      id.noteAcknowledged();
      this.#skipped.acknowledged();
      this.#acknowledged.add(Number(id.entryId));
    }
  }

  acknowledgeThrough(which: number): void {
    const entries = [...this.#held.keys()];
    const entry = entries[which % Math.max(1, entries.length)];
    if (entry !== undefined) {
      this.#held.get(entry)?.noteAcknowledged();
      this.#skipped.acknowledgedBefore(idOf(entry));
      for (let one = 0; one <= entry; one++) {
        this.#held.delete(one);
        this.#acknowledged.add(one);
      }
    }
  }

  nack(): void {
    this.nacks++;
    this.giveBack();
  }

  /** The connection is lost and made anew. */
  reconnect(): void {
    this.#registerAnew();
  }

  giveBack(): void {
    if (this.#skipped.isEmpty) {
      return;
    }
    this.#skipped.givenBack();
    this.#earlier = [...this.#held.values()];
    this.#held.clear();
    this.#epoch++;
    this.#isReading = false;
    this.#cursor = this.#first();
  }

  /** Everything that the broker has for it is received. */
  receiveAll(): void {
    while (this.#reads.length > 0 || this.#sent.length > 0 || this.#cursor < this.#length) {
      this.read(3);
      this.endRead(0);
      this.receive(2);
    }
  }

  /** Nobody gives back any more: everything is received and acknowledged within some seconds, or never. */
  async finish(): Promise<void> {
    for (let second = 0; second < 20; second++) {
      while (this.#reads.length > 0 || this.#sent.length > 0 || this.#cursor < this.#length || this.#held.size > 0) {
        this.read(3);
        this.endRead(0);
        this.receive(2);
        this.acknowledge(0);
      }
      await this.clock.advance(1_000);
    }
  }

  get lacking(): number[] {
    return Array.from({ length: this.#length }, (_, entry) => entry).filter((entry) => !this.#isOver(entry));
  }

  #isOver(entry: number): boolean {
    return this.#acknowledged.has(entry) || this.#markers.has(entry);
  }

  #first(): number {
    return this.lacking[0] ?? this.#length;
  }

  /** Another consumer, by the broker's book: a read for the old one leads to another one from the first that is unacknowledged. */
  #registerAnew(): void {
    this.registrations++;
    this.#skipped.reset();
    this.#held.clear();
    this.#epoch++;
    this.#reads = [];
    this.#sent = [];
    this.#isReading = false;
    this.#cursor = this.#first();
  }
}

const step: fc.Arbitrary<(subscription: Subscription) => void> = fc.oneof(
  fc.integer({ min: 1, max: 4 }).map((count) => (on: Subscription) => on.publish(count)),
  fc.integer({ min: 1, max: 3 }).map((count) => (on: Subscription) => on.mark(count)),
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }).map((count) => (on: Subscription) => on.read(count)) },
  { weight: 3, arbitrary: fc.nat(3).map((which) => (on: Subscription) => on.endRead(which)) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }).map((count) => (on: Subscription) => on.receive(count)) },
  fc.nat(9).map((which) => (on: Subscription) => on.acknowledge(which)),
  fc.nat(9).map((which) => (on: Subscription) => on.acknowledgeLate(which)),
  fc.nat(9).map((which) => (on: Subscription) => on.acknowledgeThrough(which)),
  { weight: 2, arbitrary: fc.constant((on: Subscription) => on.nack()) },
  fc.constant((on: Subscription) => on.reconnect()),
);

/** Asks for what is behind a gap until it is known to be one. */
function meetGap(subscription: Subscription): void {
  subscription.publish(2);
  subscription.receiveAll();
  subscription.nack();
  subscription.mark(1);
  subscription.publish(1);
  subscription.receiveAll();
  expect([subscription.asks, subscription.registrations]).toEqual([ASKS, 2]);
}

function idOf(entry: number): HandedOutId {
  return new HandedOutId(LEDGER, BigInt(entry), -1, -1, 0, undefined);
}

describe('entries that a broker skips while everything is given back', () => {
  it.each([
    ['', () => {}],
    [', and the log is known to have a gap', meetGap],
  ] as const)(
    'all come, and none before one in front of it, however its reads and the giving back cross%s',
    async (_, begin) => {
      let asks = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
          const subscription = new Subscription();
          begin(subscription);
          for (const take of steps) {
            take(subscription);
          }
          await subscription.finish();
          asks += subscription.asks;
          expect(subscription.lacking).toEqual([]);
          expect(subscription.asks).toBeLessThanOrEqual(ASKS * subscription.nacks);
          expect(subscription.clock.pendingTimers).toBe(0);
        }),
        { numRuns: 3_000 },
      );
      expect(asks).toBeGreaterThan(250);
    },
  );

  it('are not asked for again and again at the end of a log that ends in a gap, and are noticed behind it', async () => {
    const subscription = new Subscription();
    subscription.publish(3);
    subscription.mark(2);
    const pass = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second++) {
        subscription.receiveAll();
        await subscription.clock.advance(1_000);
      }
    };
    await pass(1);
    for (let time = 0; time < 5; time++) {
      subscription.nack();
      await pass(20);
      expect([subscription.asks, subscription.registrations]).toEqual([ASKS, 2]);
    }
    // The end is another one: what was skipped there is asked for.
    subscription.publish(3);
    subscription.read(9);
    subscription.nack();
    subscription.read(5);
    subscription.endRead(1);
    subscription.endRead(0);
    await pass(20);
    expect(subscription.asks).toBeGreaterThan(ASKS);
    await subscription.finish();
    expect([subscription.lacking, subscription.clock.pendingTimers]).toEqual([[], 0]);
  });

  it('are not taken for a gap at the end where they come late, and are asked for after a second all the same', async () => {
    const subscription = new Subscription();
    subscription.publish(2);
    subscription.receiveAll();
    subscription.mark(1);
    subscription.nack();
    // A second in which something still comes, and one in which nothing does.
    for (let second = 0; second < 2 * ASKS; second++) {
      subscription.receiveAll();
      await subscription.clock.advance(1_000);
    }
    expect([subscription.asks, subscription.registrations]).toEqual([ASKS, 2]);
    subscription.receiveAll();
    await subscription.clock.advance(4_000);
    subscription.nack();
    subscription.receiveAll();
    await subscription.clock.advance(2_000);
    expect(subscription.asks).toBe(ASKS + 1);
    await subscription.finish();
    expect([subscription.lacking, subscription.clock.pendingTimers]).toEqual([[], 0]);
  });

  it('are not those that an earlier delivery was acknowledged by, while they were out again', async () => {
    const subscription = new Subscription();
    subscription.publish(3);
    for (let time = 0; time < 2; time++) {
      subscription.read(3);
      subscription.endRead(0);
      subscription.receive(2 + time);
      if (time === 0) {
        subscription.giveBack();
      }
    }
    subscription.acknowledgeLate(1);
    subscription.giveBack();
    await subscription.finish();
    expect([subscription.asks, subscription.registrations, subscription.lacking]).toEqual([0, 1, []]);
  });

  it('are not asked for where the broker does not say where the topic ends and all that was given back has come', async () => {
    const clock = new VirtualClock();
    let skips = 0;
    let looks = 0;
    const skipped = new SkippedEntries({
      clock,
      isReceiving: () => true,
      end: () => {
        looks++;
        return Promise.reject(new Error('refused'));
      },
      onSkipped: () => void skips++,
    });
    const come = (entry: number): boolean => {
      const id = idOf(entry);
      const isDropped = skipped.precede(id);
      if (!isDropped) {
        skipped.hold(id);
      }
      return isDropped;
    };
    come(0);
    come(1);
    skipped.givenBack();
    come(0);
    come(1);
    await clock.advance(5_000);
    // A refusal may pass; one that does not is not asked about for ever.
    expect([skips, looks, clock.pendingTimers]).toEqual([0, 3, 0]);
    // The doubt stays: an entry behind a gap still tells of it.
    expect([come(3), skips]).toEqual([true, 1]);
    skipped.reset();
    come(0);
    skipped.givenBack();
    await clock.advance(5_000);
    // What was given back and does not come is asked for, whatever the broker says of the end.
    expect(skips).toBeGreaterThan(1);
    skipped.reset();
  });

  it('are looked for in bounded memory: where nobody acknowledges, where the first alone is not, and where all is given back', () => {
    const skipped = new SkippedEntries({
      clock: new VirtualClock(),
      isReceiving: () => false,
      end: () => expect.unreachable(),
      onSkipped: () => expect.unreachable(),
    });
    const come = (from: number, to: number, isAcknowledged: boolean): void => {
      for (let entry = from; entry < to; entry++) {
        const id = idOf(entry);
        skipped.precede(id);
        skipped.hold(id);
        if (isAcknowledged) {
          id.noteAcknowledged();
          skipped.acknowledged();
        }
      }
    };
    come(0, 1, false);
    come(1, 100_000, true);
    expect(skipped.size).toBeLessThanOrEqual(1_025);
    come(100_000, 200_000, false);
    expect(skipped.size).toBe(8_192);
    skipped.givenBack();
    expect(skipped.size).toBe(8_192);
    skipped.acknowledgedBefore(idOf(200_000));
    expect(skipped.size).toBe(0);
    skipped.reset();
  });
});
