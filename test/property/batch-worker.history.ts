import {
  AutoBatchWorker,
  type BatchContext,
  type BatchOutcome,
  type DrainReport,
  WorkerStoppedError,
} from '@smartpulse/batch';
import { HeldCalls } from '@smartpulse/batch/testing';
import { VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { expect } from 'vitest';
import { listenersOn, newSignals, SIGNALS, Violations } from './batch.history.js';

interface Parcel {
  readonly id: number;
  readonly weight: number;
  /** `poison`: the handler throws for every batch that holds it. */
  readonly verdict: 'fulfilled' | 'rejected' | 'poison';
}

type WorkerAction =
  | { readonly do: 'tryEnqueue' | 'enqueue' | 'submit'; readonly parcel: Omit<Parcel, 'id'>; readonly signal: number }
  | { readonly do: 'answer' | 'fail' | 'abort'; readonly index: number }
  | { readonly do: 'settle' }
  | { readonly do: 'advance' | 'drain'; readonly ms: number };

const parcelArb = fc.record({
  weight: fc.constantFrom(0, 0.5, 1, 1, 2, 3),
  verdict: fc.constantFrom<Parcel['verdict'][]>('fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'poison'),
});
/** One thing that happens to a worker. */
export const workerActionArb: fc.Arbitrary<WorkerAction> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('tryEnqueue' as const, 'enqueue' as const, 'submit' as const),
      parcel: parcelArb,
      // One more than there are signals: none.
      signal: fc.nat(SIGNALS),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const), index: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), index: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('abort' as const), index: fc.nat(SIGNALS - 1) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 10, 1_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drain' as const), ms: fc.constantFrom(0, 10, 1_000) }) },
);
/** The bounds of a worker. */
export const workerSettingsArb = fc.record({
  maxBatchItems: fc.integer({ min: 1, max: 5 }),
  maxBatchWeight: fc.constantFrom(1, 4, Number.POSITIVE_INFINITY),
  concurrency: fc.integer({ min: 1, max: 3 }),
  capacityItems: fc.integer({ min: 1, max: 12 }),
  capacityWeight: fc.constantFrom(3, 4, 6, Number.POSITIVE_INFINITY),
  overflow: fc.constantFrom('wait' as const, 'wait' as const, 'reject' as const),
  isolateFailures: fc.boolean(),
});
type WorkerSettings = typeof workerSettingsArb extends fc.Arbitrary<infer T> ? T : never;

/** A worker with a handler that the test answers, and the books of everything that became of every parcel. */
export class WorkerRun extends Violations {
  readonly clock = new VirtualClock();
  readonly controllers = newSignals();
  /** Controllers whose signal has aborted; others took their places. */
  readonly calledOff: AbortController[] = [];
  readonly calls = new HeldCalls<readonly Parcel[], BatchContext, readonly BatchOutcome<number>[]>();
  readonly worker: AutoBatchWorker<Parcel, number>;
  /** What became of each parcel, one entry for each time that something did. */
  readonly fates = new Map<number, string[]>();
  readonly started: number[] = [];
  /** Callers that had to wait for room, in their order. */
  readonly waiting: { readonly weight: number; rejected: boolean }[] = [];
  drained: Promise<DrainReport<Parcel>> | undefined;
  #ids = 0;
  #inHandler = 0;

  constructor(readonly settings: WorkerSettings) {
    super();
    this.worker = new AutoBatchWorker<Parcel, number>(
      {
        name: 'run',
        weigh: ({ weight }) => weight,
        onItemFailed: (_error, { id }) => this.note(id, 'failed'),
        handler: async (parcels, context) => {
          const { maxBatchItems, maxBatchWeight, concurrency } = settings;
          this.mustHold(parcels.length <= maxBatchItems, 'a batch has too many items');
          const weight = parcels.reduce((sum, parcel) => sum + parcel.weight, 0);
          this.mustHold(parcels.length === 1 || weight <= maxBatchWeight, 'a batch is too heavy');
          this.mustHold(++this.#inHandler <= concurrency, 'too many batches at once');
          if (context.attempt === 1) {
            this.started.push(...parcels.map(({ id }) => id));
          }
          try {
            return await this.calls.handler(parcels, context);
          } finally {
            this.#inHandler--;
          }
        },
        ...settings,
      },
      { clock: this.clock },
    );
  }

  note(id: number, fate: string): void {
    this.fates.set(id, [...(this.fates.get(id) ?? []), fate]);
  }

  act(action: WorkerAction): Promise<void> | void {
    switch (action.do) {
      case 'tryEnqueue':
      case 'enqueue':
      case 'submit': {
        const parcel = { ...action.parcel, id: this.#ids++ };
        this.send(action.do, parcel, this.controllers[action.signal]?.signal);
        break;
      }
      case 'answer':
        this.answer(action.index);
        break;
      case 'fail':
        if (this.calls.open.length > 0) {
          this.calls.next(action.index % this.calls.open.length).fail(new Error('handler fails'));
        }
        break;
      case 'abort':
        this.callOff(action.index);
        break;
      case 'advance':
        return this.clock.advance(action.ms);
      case 'drain':
        this.drain(action.ms);
        break;
      case 'settle':
        return this.settleAndCheck();
    }
  }

  send(how: 'tryEnqueue' | 'enqueue' | 'submit', parcel: Parcel, signal?: AbortSignal): void {
    const { id } = parcel;
    const stopped = this.worker.stats.state !== 'running';
    if (how === 'tryEnqueue') {
      const accepted = this.worker.tryEnqueue(parcel);
      this.mustHold(!(accepted && stopped), 'a stopped worker accepts');
      this.note(id, accepted ? 'accepted' : 'refused');
      return;
    }
    const waitingBefore = this.worker.stats.waiting;
    const promise: Promise<unknown> =
      how === 'enqueue' ? this.worker.enqueue(parcel, { signal }) : this.worker.submit(parcel, { signal });
    const wait = { weight: parcel.weight, rejected: false };
    if (this.worker.stats.waiting > waitingBefore) {
      this.waiting.push(wait);
    }
    promise.then(
      () => this.note(id, how === 'enqueue' ? 'accepted' : 'fulfilled'),
      (error: unknown) => {
        wait.rejected = true;
        this.mustHold(!stopped || WorkerStoppedError.is(error), 'a stopped worker refuses with another error');
        this.note(id, WorkerStoppedError.is(error) && error.item !== 'refused' ? 'leftover' : 'rejected');
      },
    );
  }

  callOff(index: number): void {
    const [controller] = this.controllers.splice(index, 1, new AbortController());
    if (controller !== undefined) {
      controller.abort(new Error('called off'));
      this.calledOff.push(controller);
    }
  }

  answer(index: number): void {
    if (this.calls.open.length === 0) {
      return;
    }
    const call = this.calls.next(index % this.calls.open.length);
    if (call.input.some(({ verdict }) => verdict === 'poison')) {
      call.fail(new Error('poison'));
      return;
    }
    const outcomes = call.input.map(({ id, verdict }): BatchOutcome<number> => {
      // An effect counts only while the worker still listens; what an interrupted handler does is unknown by definition.
      if (!call.context.signal.aborted) {
        this.note(id, verdict === 'fulfilled' ? 'effect' : 'refusedByHandler');
      }
      return verdict === 'fulfilled'
        ? { status: 'fulfilled', value: id }
        : { status: 'rejected', error: new Error('no') };
    });
    call.answer(outcomes);
  }

  drain(timeoutMs: number): void {
    const first = this.drained === undefined;
    const drained = this.worker.drain({ timeoutMs });
    this.drained ??= drained;
    expect(drained).toBe(this.drained);
    if (first) {
      // The instant in which the drain ends is when things get lost.
      drained.then(
        () => {
          this.send('submit', { id: this.#ids++, weight: 1, verdict: 'fulfilled' });
          this.send('tryEnqueue', { id: this.#ids++, weight: 1, verdict: 'fulfilled' });
        },
        () => undefined,
      );
    }
  }

  async settleAndCheck(): Promise<void> {
    this.checkBounds();
    await this.clock.settle();
    this.checkBounds();
    const { queued, inFlight, weight, waiting, state } = this.worker.stats;
    const { capacityItems, capacityWeight, concurrency } = this.settings;
    // Nothing sleeps that could run.
    expect(queued === 0 || this.#inHandler === concurrency || state === 'stopped').toBe(true);
    expect(state === 'draining' && queued + inFlight === 0).toBe(false);
    // Room is given in order, so those who still wait are the last ones; the first of them does not fit.
    const first = this.waiting.filter(({ rejected }) => !rejected).at(-waiting);
    if (waiting > 0) {
      expect(queued + inFlight === capacityItems || weight + (first?.weight ?? 0) > capacityWeight).toBe(true);
    }
  }

  checkBounds(): void {
    const { queued, inFlight, weight, waiting, state } = this.worker.stats;
    expect(waiting > 0 && state !== 'running').toBe(false);
    expect(queued + inFlight).toBeLessThanOrEqual(this.settings.capacityItems);
    expect(weight).toBeLessThanOrEqual(this.settings.capacityWeight);
  }

  /** Ends the run and says what is wrong with its books. */
  async finish(): Promise<void> {
    this.drain(1_000);
    for (let round = 0; this.worker.stats.state !== 'stopped' && round < 40; round++) {
      this.answer(0);
      await this.settleAndCheck();
    }
    const report = await this.drained;
    // Late answers of handlers that were given up change nothing.
    while (this.calls.open.length > 0) {
      this.answer(0);
    }
    await this.clock.settle();
    const { stats } = this.worker;
    expect(stats).toMatchObject({
      state: 'stopped',
      queued: 0,
      inFlight: 0,
      waiting: 0,
      weight: 0,
      listenedSignals: 0,
    });
    expect(stats.completed + stats.failed + stats.withdrawn + stats.leftover).toBe(stats.accepted);
    expect(stats.leftover).toBe(report?.leftover.length);
    expect(this.clock.pendingTimers).toBe(0);
    expect(listenersOn([...this.controllers, ...this.calledOff])).toBe(0);
    expect(this.started).toEqual(this.started.toSorted((a, b) => a - b));
    expect(this.found).toEqual([]);
    this.checkFates(new Set(report?.leftover.map(({ id }) => id)), report?.leftover.length ?? 0);
  }

  checkFates(leftover: ReadonlySet<number>, leftoverCount: number): void {
    expect(leftover.size).toBe(leftoverCount);
    let completed = 0;
    for (const [id, fates] of this.fates) {
      const count = (fate: string): number => fates.filter((each) => each === fate).length;
      // A batch that is interrupted while its failures are isolated may have had effects: its outcome is unknown.
      const unknown = this.settings.isolateFailures && leftover.has(id);
      const effects = unknown ? 0 : count('effect');
      completed += effects;
      expect(count('effect')).toBeLessThanOrEqual(1);
      // Everybody is told one thing.
      expect(count('accepted') + count('fulfilled') + count('rejected') + count('refused') + count('leftover')).toBe(1);
      if (count('accepted') === 1) {
        // Nobody was told the result: it succeeded, failed, or is left over, and nothing twice.
        expect(effects + count('failed') + (leftover.has(id) ? 1 : 0)).toBe(1);
      } else {
        expect(effects).toBe(count('fulfilled'));
        expect(count('failed')).toBe(0);
        expect(leftover.has(id)).toBe(count('leftover') === 1);
      }
    }
    expect(this.worker.stats.completed).toBe(completed);
  }
}
