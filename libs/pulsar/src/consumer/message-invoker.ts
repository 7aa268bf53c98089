import type { Clock } from '@smartpulse/resilience';
import { asError } from '../pulsar.errors.js';
import type { PulsarTelemetry } from '../pulsar.telemetry.js';
import type { ConsumerSeries } from '../telemetry/series.js';
import type { IncomingMessage } from '../transport/pulsar.transport.js';
import type { AnsweringHandler } from './consumer-options.js';
import { MessageContext } from './message-context.js';
import type { PayloadReader } from './payload-reader.js';
import type { ResolvedConsumerOptions } from './resolve-consumer-options.js';
import { type HandlerRun, RunningHandlers } from './running-handlers.js';

/** How a handler run ended. `invalid`: the payload could not be read, the handler was not called. */
export type RunResult =
  | { readonly status: 'fulfilled'; readonly value: unknown }
  | { readonly status: 'rejected'; readonly error: unknown }
  | { readonly status: 'invalid'; readonly error: Error };

/** What a {@link MessageInvoker} is made of. */
export interface MessageInvokerOptions<T> {
  readonly consumer: ResolvedConsumerOptions;
  readonly reader: PayloadReader<T>;
  readonly handler: AnsweringHandler<T>;
  readonly telemetry: PulsarTelemetry;
  readonly series: ConsumerSeries;
  readonly clock: Clock;
}

type Settled = (run: HandlerRun, failure: { readonly error: unknown } | undefined) => void;

type OnEnded = (result: RunResult) => void;

/** The span that it runs in times it. */
const NOBODY: Settled = () => undefined;

/** Reads a message's payload and runs the handler on it, within its time and its trace. Never rejects. */
export class MessageInvoker<T> {
  readonly #options: MessageInvokerOptions<T>;
  readonly #handlers: RunningHandlers;
  readonly #nowMs = (): number => this.#options.clock.monotonic();
  readonly #measured: Settled = (run, failure) => {
    const { clock, series, telemetry } = this.#options;
    if (telemetry.measures) {
      telemetry.processed(series, clock.monotonic() - run.startMs, failure);
    }
  };
  #running = 0;

  constructor(options: MessageInvokerOptions<T>) {
    const { clock, consumer } = options;
    const { topic, timeoutMs, abortGraceMs } = consumer;
    this.#options = options;
    this.#handlers = new RunningHandlers({ clock, topic, timeoutMs, abortGraceMs }, (run) => {
      // Its result is that its time was up.
      run.settle?.(this.#ended(run, { status: 'fulfilled', value: undefined }));
    });
  }

  /** Handlers that run now. */
  get running(): number {
    return this.#running;
  }

  /**
   * Answers at once where neither the reading nor the handler waits for anything; else answers nothing and tells `onEnded`, once.
   *
   * When a handler's time is used up, its signal aborts; the run has then failed, whatever the handler answers, as soon as it settles or the
   * grace is over. A handler that ignores the signal beyond the grace is left to itself: it may then overlap its own repetition.
   *
   * @param attempt which handler run of the message it is, from 1.
   * @param stop aborts when the shutdown's time is used up.
   */
  run(message: IncomingMessage, attempt: number, stop: AbortSignal, onEnded: OnEnded): RunResult | undefined {
    this.#running++;
    let payload: T | Promise<T>;
    try {
      payload = this.#options.reader.read(message);
    } catch (error) {
      return this.#unreadable(error);
    }
    if (!(payload instanceof Promise)) {
      return this.#invoke(payload, message, attempt, stop, onEnded);
    }
    payload.then(
      (read) => {
        const result = this.#invoke(read, message, attempt, stop, onEnded);
        if (result !== undefined) {
          onEnded(result);
        }
      },
      (error: unknown) => onEnded(this.#unreadable(error)),
    );
    return undefined;
  }

  /** No handler runs any more. */
  close(): void {
    this.#handlers.close();
  }

  #unreadable(error: unknown): RunResult {
    this.#running--;
    return { status: 'invalid', error: asError(error) };
  }

  #invoke(
    payload: T,
    message: IncomingMessage,
    attempt: number,
    stop: AbortSignal,
    onEnded: OnEnded,
  ): RunResult | undefined {
    const { handler, series, telemetry } = this.#options;
    const run = this.#handlers.begin(stop);
    const context = new MessageContext(message, attempt, run);
    if (telemetry.tracesHandlers) {
      const { topic, properties } = message;
      const answer = telemetry.process(series, topic, properties, this.#nowMs, async () => handler(payload, context));
      return this.#tellWhenSettled(run, answer, NOBODY, onEnded);
    }
    let answer: unknown;
    try {
      answer = handler(payload, context);
    } catch (error) {
      this.#measured(run, { error });
      return this.#ended(run, { status: 'rejected', error });
    }
    if (isThenable(answer)) {
      return this.#tellWhenSettled(run, answer, this.#measured, onEnded);
    }
    this.#measured(run, undefined);
    return this.#ended(run, { status: 'fulfilled', value: answer });
  }

  /** @param onSettled hears of the handler itself, however late; the result may be that its time was up. */
  #tellWhenSettled(run: HandlerRun, answer: PromiseLike<unknown>, onSettled: Settled, onEnded: OnEnded): undefined {
    run.settle = onEnded;
    // A thenable of somebody else may tell at once, before anybody listens.
    const settled = answer instanceof Promise ? answer : Promise.resolve(answer);
    settled.then(
      (value) => {
        onSettled(run, undefined);
        this.#tell(run, { status: 'fulfilled', value });
      },
      (error: unknown) => {
        onSettled(run, { error });
        this.#tell(run, { status: 'rejected', error });
      },
    );
  }

  /** Nobody, where the run was given up before. */
  #tell(run: HandlerRun, result: RunResult): void {
    if (!run.isOver) {
      run.settle?.(this.#ended(run, result));
    }
  }

  /** Only for a run that is not over. */
  #ended(run: HandlerRun, result: RunResult): RunResult {
    this.#running--;
    this.#handlers.end(run);
    return run.timedOut === undefined ? result : { status: 'rejected', error: run.timedOut };
  }
}

function isThenable(answer: unknown): answer is PromiseLike<unknown> {
  return typeof answer === 'object' && answer !== null && 'then' in answer && typeof answer.then === 'function';
}
