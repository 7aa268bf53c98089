import { Logger } from '@nestjs/common';
import type { Clock, HealthProbe, ProbeDetails, ProbeResult, ProbeStatus, Timer } from '@smartpulse/resilience';
import type { ResolvedHealthOptions } from '../health.options.js';
import type { ProbeReport } from './probe-report.js';

interface Answer extends ProbeResult {
  readonly atMs: number;
}

/** One probe with its last answer. Asking is what costs; reading is free. */
export class SampledProbe {
  readonly #logger = new Logger(SampledProbe.name);
  #answer: Answer | undefined;
  #reported: ProbeStatus | undefined;
  #bad = 0;
  #asking: AbortController | undefined;
  #hanging = false;

  constructor(
    private readonly probe: HealthProbe,
    private readonly clock: Clock,
    private readonly options: Pick<
      ResolvedHealthOptions,
      'intervalMs' | 'timeoutMs' | 'badToDown' | 'staleAfterIntervals'
    >,
  ) {}

  /** Whether it was asked and its part has finished starting. A probe that throws here has not. */
  get started(): boolean {
    try {
      return this.#answer !== undefined && this.probe.started();
    } catch {
      return false;
    }
  }

  /** Asks the probe within its time. Never rejects. A probe that still hangs from the last time is not asked again: it is bad. */
  async sample(): Promise<void> {
    if (this.#hanging) {
      this.#take({ status: 'down', details: { error: 'Timeout' } });
      return;
    }
    const abort = new AbortController();
    this.#asking = abort;
    const result = await this.#ask(abort);
    if (this.#asking === abort) {
      this.#asking = undefined;
      this.#take(result);
    }
  }

  /** Gives up a question that runs; its answer is not heard any more. */
  stop(): void {
    const asking = this.#asking;
    this.#asking = undefined;
    asking?.abort(new Error('The health probes are stopped.'));
  }

  report(): ProbeReport {
    const { name, critical } = this.probe;
    const answer = this.#answer;
    const staleMs = this.options.intervalMs * this.options.staleAfterIntervals;
    if (answer === undefined || this.clock.monotonic() - answer.atMs > staleMs) {
      return { name, critical, status: 'degraded', unknown: true, details: {} };
    }
    return { name, critical, status: this.#reported ?? answer.status, unknown: false, details: answer.details ?? {} };
  }

  async #ask(abort: AbortController): Promise<ProbeResult> {
    let timer: Timer | undefined;
    const cut = new Promise<ProbeResult>((resolve) => {
      timer = this.clock.setTimer(
        this.options.timeoutMs,
        () => {
          this.#hanging = true;
          // First: the abort's own listener below would answer otherwise.
          resolve({ status: 'down', details: { error: 'Timeout' } });
          abort.abort(new Error('The health probe has used up its time.'));
        },
        { unref: true },
      );
      abort.signal.addEventListener('abort', () => resolve({ status: 'degraded' }), { once: true });
    });
    try {
      return await Promise.race([this.#check(abort.signal), cut]);
    } finally {
      timer?.cancel();
    }
  }

  /** Never rejects, so that an answer after the time-out is nobody's unhandled rejection. */
  async #check(signal: AbortSignal): Promise<ProbeResult> {
    try {
      return await this.probe.check(signal);
    } catch (error) {
      return { status: 'down', details: { error: error instanceof Error ? error.name : 'unknown' } };
    } finally {
      this.#hanging = false;
    }
  }

  #take(result: ProbeResult): void {
    this.#answer = { ...result, details: plain(result.details), atMs: this.clock.monotonic() };
    this.#bad = result.status === 'down' ? this.#bad + 1 : 0;
    const before = this.#reported;
    // The very first answer is believed at once: there is no better one to hold on to.
    const damped =
      result.status === 'down' && before !== undefined && before !== 'down' && this.#bad < this.options.badToDown;
    this.#reported = damped ? 'degraded' : result.status;
    if (before !== undefined && before !== this.#reported) {
      this.#logger[this.#reported === 'up' ? 'log' : 'warn'](`Health probe "${this.probe.name}" is ${this.#reported}.`);
    }
  }
}

/** A copy, so that a probe which goes on changing its object does not change what was said. */
function plain(details: ProbeDetails | undefined): ProbeDetails {
  return { ...details };
}
