import type { Logger } from '@nestjs/common';
import type { Clock, Random } from '@smartpulse/resilience';
import { FailureWindow } from './failure-window.js';
import type { RunResult } from './message-invoker.js';
import type { SettlementCounts } from './message-settler.js';
import { type GatePass, OutageGate } from './outage-gate.js';
import type { ResolvedConsumerOptions } from './resolve-consumer-options.js';
import { runHandler } from './run-handler.js';

/** What a {@link RunGate} is made of. */
export interface RunGateOptions {
  readonly id: string;
  readonly consumer: ResolvedConsumerOptions;
  readonly counts: SettlementCounts;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Leave to run a handler, and what its run is to find out. */
export interface RunPass {
  /** `test`: whether infrastructure is back. */
  readonly outage: GatePass;
  /** `test`: whether runs succeed again. */
  readonly rate: GatePass;
}

/** The pass of a run that nothing speaks against. */
export const FREE_PASS: RunPass = Object.freeze({ outage: 'free', rate: 'free' });

/** What stands before every handler run: closed while infrastructure is down, and for a while when too many runs fail (`pauseOn`). */
export class RunGate {
  readonly #options: RunGateOptions;
  readonly #outage: OutageGate;
  readonly #rate: { readonly gate: OutageGate; readonly window: FailureWindow; readonly limit: number } | undefined;

  constructor(options: RunGateOptions) {
    const { clock, consumer, id, logger, random } = options;
    this.#options = options;
    this.#outage = new OutageGate({
      clock,
      random,
      backoff: consumer.backoff,
      probe: this.#probe(),
      onProbeFailed: (error) => logger.warn(`${id}: infrastructure is still down (${messageOf(error)}).`),
      onRecovered: (downMs) => logger.log(`${id}: infrastructure is back after ${Math.round(downMs)} ms.`),
    });
    const { pauseOn } = consumer;
    if (pauseOn !== undefined) {
      const { cooldownMs, failureRate, window: size } = pauseOn;
      const window = new FailureWindow(size);
      const gate = new OutageGate({
        clock,
        random,
        backoff: { initialMs: cooldownMs, multiplier: 1, maxMs: cooldownMs, jitter: 'none' },
        probe: undefined,
        onProbeFailed: () => undefined,
        onRecovered: (pausedMs) => {
          window.clear();
          logger.log(`${id}: a handler run succeeded, goes on after ${Math.round(pausedMs)} ms.`);
        },
      });
      this.#rate = { gate, window, limit: failureRate };
    }
  }

  /** When infrastructure was found to be down (`Clock.now`), or `undefined` when it is up. */
  get downSinceMs(): number | undefined {
    return this.#outage.downSinceMs;
  }

  /** When too many runs had failed (`Clock.now`), or `undefined` when they did not. */
  get trippedSinceMs(): number | undefined {
    return this.#rate?.gate.downSinceMs;
  }

  /** Whether {@link enter} may have to wait. */
  get closed(): boolean {
    return this.#outage.closed || this.#rate?.gate.closed === true;
  }

  /**
   * Leave to run, at once where nothing speaks against it; `undefined` when the consumer stops.
   *
   * @param isWanted whether the caller would still run; the gate may find out first that it would not, and answers `undefined` then.
   */
  enter(isWanted: () => boolean): RunPass | Promise<RunPass | undefined> {
    return this.closed ? this.#wait(isWanted) : FREE_PASS;
  }

  /** The one with this pass did not run after all. */
  leave(pass: RunPass | undefined): void {
    if (pass?.outage === 'test') {
      this.#outage.tested(false);
    }
    if (pass?.rate === 'test') {
      this.#rate?.gate.tested(false);
    }
  }

  /** How the run ended, for each of its messages. Answers for each whether infrastructure was down for it: that is no failure of its own. */
  ended(pass: RunPass, results: readonly RunResult[]): readonly boolean[] {
    const down = results.map((result) => result.status === 'rejected' && this.#isOutage(result.error));
    const isDown = down.includes(true);
    if (pass.outage === 'test') {
      this.#outage.tested(!isDown);
    }
    if (isDown && this.#outage.trip()) {
      this.#options.counts.outages++;
      const first = results[down.indexOf(true)];
      const problem = first?.status === 'rejected' ? messageOf(first.error) : '';
      this.#options.logger.warn(`${this.#options.id}: paused, infrastructure is down (${problem}).`);
    }
    this.#count(
      pass,
      results.filter((result, index) => result.status !== 'invalid' && down[index] === false),
    );
    return down;
  }

  /** As {@link ended}, for the run of one message. */
  endedOne(pass: RunPass, result: RunResult): boolean {
    if (result.status !== 'rejected' && pass === FREE_PASS && this.#rate === undefined) {
      return false;
    }
    return this.ended(pass, [result])[0] === true;
  }

  /** Lets everybody go without leave; nothing is held any more. */
  stop(): void {
    this.#outage.stop();
    this.#rate?.gate.stop();
  }

  async #wait(isWanted: () => boolean): Promise<RunPass | undefined> {
    const rateGate = this.#rate?.gate;
    let outage: GatePass = 'free';
    let rate: GatePass = 'free';
    for (;;) {
      // Each may close while the other is waited for.
      if (rate === 'free' && rateGate?.closed === true) {
        rate = await rateGate.enter(isWanted);
      } else if (outage === 'free' && this.#outage.closed) {
        outage = await this.#outage.enter(isWanted);
      } else {
        return { outage, rate };
      }
      if (rate === 'stopped' || outage === 'stopped') {
        this.leave({ outage, rate });
        return undefined;
      }
    }
  }

  #count(pass: RunPass, counted: readonly RunResult[]): void {
    if (this.#rate === undefined) {
      return;
    }
    const { gate, limit, window } = this.#rate;
    const failures = counted.filter(({ status }) => status === 'rejected').length;
    if (pass.rate === 'test') {
      gate.tested(counted.length > 0 && failures / counted.length < limit);
      return;
    }
    if (gate.closed) {
      return;
    }
    counted.forEach(({ status }) => window.add(status === 'rejected'));
    if (window.rate >= limit && gate.trip()) {
      this.#options.counts.trips++;
      this.#options.logger.warn(
        `${this.#options.id}: paused, ${Math.round(window.rate * 100)} % of the last handler runs failed.`,
      );
    }
  }

  #isOutage(error: unknown): boolean {
    const { consumer, id, logger } = this.#options;
    try {
      return consumer.isOutage?.(error) ?? false;
    } catch (thrown) {
      logger.error(`${id}: isOutage threw (${messageOf(thrown)}); the error counts as no outage.`);
      return false;
    }
  }

  /** The probe within the time of a handler run: one that hangs would keep the consumer in its outage for ever. */
  #probe(): ((signal: AbortSignal) => Promise<void>) | undefined {
    const { clock, consumer } = this.#options;
    const { probe, topic, timeoutMs, abortGraceMs } = consumer;
    return (
      probe && ((stop) => runHandler({ clock, topic, timeoutMs, abortGraceMs, stop }, async (signal) => probe(signal)))
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
