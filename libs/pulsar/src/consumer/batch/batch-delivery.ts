import type { Clock } from '@smartpulse/resilience';
import { asError } from '../../pulsar.errors.js';
import type { PulsarTelemetry } from '../../pulsar.telemetry.js';
import type { ConsumerSeries } from '../../telemetry/series.js';
import { MessageContext } from '../message-context.js';
import type { RunResult } from '../message-invoker.js';
import type { MessageSettler, SettleLater, TakenMessage } from '../message-settler.js';
import type { MessageVerdict } from '../message-verdict.js';
import type { PayloadReader } from '../payload-reader.js';
import type { ResolvedConsumerOptions } from '../resolve-consumer-options.js';
import type { RunGate } from '../run-gate.js';
import { runHandler } from '../run-handler.js';
import { BatchItemsFailed } from './batch-items-failed.js';
import type { BatchHandler } from './batch-options.js';

/** What a {@link BatchDelivery} is made of. */
export interface BatchDeliveryOptions<T> {
  readonly consumer: ResolvedConsumerOptions;
  readonly reader: PayloadReader<T>;
  readonly handler: BatchHandler<T>;
  readonly settler: MessageSettler;
  readonly verdict: MessageVerdict;
  readonly gate: RunGate;
  readonly telemetry: PulsarTelemetry;
  readonly series: ConsumerSeries;
  readonly clock: Clock;
}

/** A message of a batch whose payload could be read. */
interface ReadMessage<T> {
  readonly taken: TakenMessage;
  readonly payload: T;
  /** Its place in the batch as it was gathered. */
  readonly place: number;
}

type Answer = SettleLater | void;

const AT_ONCE: SettleLater = Object.freeze({ retryAfterMs: 0 });

/** Runs a batch handler: what cannot be read does not reach it, and each message is settled by what the handler says of it. */
export class BatchDelivery<T> {
  readonly #options: BatchDeliveryOptions<T>;
  #running = 0;

  constructor(options: BatchDeliveryOptions<T>) {
    this.#options = options;
  }

  /** Messages that are in handlers now. */
  get running(): number {
    return this.#running;
  }

  /** Nothing of it stays behind: each run takes its own timer away. */
  close(): void {
    // See above.
  }

  /** Its last attempt: alone, so that no message becomes a dead letter for another one's sake. */
  runsAlone({ attempts }: TakenMessage): boolean {
    return attempts > 0 && attempts === this.#options.consumer.maxAttempts - 1;
  }

  /** Answers for each message, in its place, how long to wait before it is handled again, or nothing when it is settled. */
  async run(batch: readonly TakenMessage[], stop: AbortSignal): Promise<Answer[]> {
    this.#running += batch.length;
    try {
      const answers: Answer[] = batch.map(() => undefined);
      const read = await Promise.all(batch.map((taken, place) => this.#readOrSettle(taken, place, answers)));
      await this.#handle(
        read.filter((one) => one !== undefined),
        answers,
        stop,
      );
      return answers;
    } finally {
      this.#running -= batch.length;
    }
  }

  /** Settles what needs no handler, or cannot have one because its payload cannot be read. */
  async #readOrSettle(taken: TakenMessage, place: number, answers: Answer[]): Promise<ReadMessage<T> | undefined> {
    const { reader, settler, verdict } = this.#options;
    settler.recall(taken);
    const settled = verdict.withoutRun(taken);
    if (settled !== undefined) {
      answers[place] = await settled.answer;
      return undefined;
    }
    if (answers.length > 1 && this.runsAlone(taken)) {
      // That it has failed before was not known when the batch was gathered.
      answers[place] = AT_ONCE;
      return undefined;
    }
    try {
      return { taken, place, payload: await reader.read(taken.message) };
    } catch (error) {
      answers[place] = await verdict.conclude(taken, { status: 'invalid', error: asError(error) });
      return undefined;
    }
  }

  async #handle(read: readonly ReadMessage<T>[], answers: Answer[], stop: AbortSignal): Promise<void> {
    const { gate, settler, verdict } = this.#options;
    if (read.length === 0) {
      return;
    }
    const pass = await gate.enter(() => read.some(({ taken }) => !taken.from.lost));
    const lost = read.filter(({ taken }) => pass === undefined || taken.from.lost);
    lost.forEach(({ taken }) => settler.abandon(taken));
    const left = read.filter((one) => !lost.includes(one));
    if (pass === undefined || left.length === 0) {
      gate.leave(pass);
      return;
    }
    const results = await this.#invoke(left, stop);
    const down = gate.ended(pass, results);
    await Promise.all(
      results.map(async (result, index) => {
        const one = left[index];
        if (one !== undefined) {
          // What met an outage comes again with another batch, which the gate holds until infrastructure is back.
          answers[one.place] = down[index] === true ? AT_ONCE : await verdict.conclude(one.taken, result);
        }
      }),
    );
  }

  /** Never rejects; answers for each message. */
  async #invoke(batch: readonly ReadMessage<T>[], stop: AbortSignal): Promise<readonly RunResult[]> {
    const { clock, consumer, handler, series, telemetry } = this.#options;
    const { topic, timeoutMs, abortGraceMs } = consumer;
    const taken = batch.map((one) => one.taken.message);
    const payloads = batch.map(({ payload }) => payload);
    const nowMs = (): number => clock.monotonic();
    try {
      const value = await runHandler({ clock, topic, timeoutMs, abortGraceMs, stop }, (signal) => {
        const messages = batch.map((one) => new MessageContext(one.taken.message, one.taken.attempts + 1, { signal }));
        return telemetry.processBatch(series, topic, taken, nowMs, async () =>
          handler(payloads, { topic, messages, signal }),
        );
      });
      return batch.map(() => ({ status: 'fulfilled', value }));
    } catch (error) {
      return resultsOf(error, batch.length);
    }
  }
}

/** Each item's own result by what the handler threw. */
function resultsOf(error: unknown, size: number): readonly RunResult[] {
  const isPartial =
    BatchItemsFailed.is(error) &&
    error.failures.every(({ index }) => Number.isInteger(index) && index >= 0 && index < size);
  const errors = new Map(isPartial ? error.failures.map((failure) => [failure.index, failure.error]) : []);
  return Array.from({ length: size }, (_, index): RunResult => {
    if (!isPartial) {
      return { status: 'rejected', error };
    }
    return errors.has(index)
      ? { status: 'rejected', error: errors.get(index) }
      : { status: 'fulfilled', value: undefined };
  });
}
