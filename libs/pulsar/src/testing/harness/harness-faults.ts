import type { Clock } from '@smartpulse/resilience';
import { type EventContract, topicOf } from '../../event/define-event.js';
import { type FaultPoint, type FaultQuestion, injectedFault } from '../fault-injecting.transport.js';

/** Which operations a planned fault strikes. */
export interface FaultTarget<T = unknown> {
  /** Short name, full name or contract. Default: every topic. */
  readonly topic?: string | EventContract<T> | undefined;
  /** How many operations in a row. Default 1; `Infinity` until {@link HarnessFaults.clear}. */
  readonly times?: number | undefined;
}

/** A planned failure. */
export interface PlannedFailure<T = unknown> extends FaultTarget<T> {
  /** What the operation is rejected with. Default: a transient `PulsarError` of code `SMARTPULSE_PULSAR_INJECTED`. */
  readonly error?: Error | undefined;
}

interface FaultRule {
  readonly point: FaultPoint;
  readonly topic: string | undefined;
  readonly error: Error | undefined;
  readonly delayMs: number | undefined;
  left: number;
}

/** Rules that can stand at once. */
const MAX_RULES = 1_000;

/**
 * What goes wrong next between the app and its broker. Rules strike in the order in which they were planned, each as often as it says.
 *
 * @example
 * ```ts
 * harness.faults.failNext('ack', { topic: 'orders', times: 2 });
 * harness.faults.delayNext('send', 5_000); // of the harness's time
 * ```
 */
export class HarnessFaults {
  readonly #clock: Clock;
  readonly #rules: FaultRule[] = [];
  #delayed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Operations that a delay holds now: they go on when time does. */
  get delayed(): number {
    return this.#delayed;
  }

  /** Strikes that are planned and have not come: 0 when all that was planned has happened. */
  get left(): number {
    return this.#rules.reduce((sum, { left }) => sum + left, 0);
  }

  /** The next operations at this point are rejected. `afterSend` comes when the message is stored already. */
  failNext<T = unknown>(point: FaultPoint, { error, ...target }: PlannedFailure<T> = {}): void {
    this.#add(point, target, { error, delayMs: undefined });
  }

  /** The next operations at this point begin only when `delayMs` milliseconds of the harness's time have passed. */
  delayNext<T = unknown>(point: FaultPoint, delayMs: number, target: FaultTarget<T> = {}): void {
    this.#add(point, target, { error: undefined, delayMs });
  }

  /** Nothing goes wrong any more. */
  clear(): void {
    this.#rules.length = 0;
  }

  /** @internal What the transport asks before each operation. */
  strike({ point, topic }: FaultQuestion): Error | undefined | Promise<undefined> {
    const index = this.#rules.findIndex((rule) => rule.point === point && concerns(rule, topic));
    const rule = this.#rules[index];
    if (rule === undefined) {
      return undefined;
    }
    if (--rule.left <= 0) {
      this.#rules.splice(index, 1);
    }
    return rule.delayMs === undefined ? (rule.error ?? injectedFault(topic)) : this.#wait(rule.delayMs);
  }

  async #wait(delayMs: number): Promise<undefined> {
    this.#delayed++;
    await this.#clock.sleep(delayMs);
    this.#delayed--;
    return undefined;
  }

  #add<T>(point: FaultPoint, { topic, times = 1 }: FaultTarget<T>, what: Pick<FaultRule, 'error' | 'delayMs'>): void {
    if (!(times >= 1)) {
      throw new RangeError(`times: ${times} is no number from 1.`);
    }
    if (this.#rules.length >= MAX_RULES) {
      throw new RangeError(`More than ${MAX_RULES} planned faults: use times, or clear() those that are done with.`);
    }
    this.#rules.push({ ...what, point, topic: topic === undefined ? undefined : topicOf(topic), left: times });
  }
}

/** Short names mean the topic of any namespace. */
function concerns({ topic }: FaultRule, full: string): boolean {
  return topic === undefined || topic === full || full.endsWith(`/${topic}`);
}
