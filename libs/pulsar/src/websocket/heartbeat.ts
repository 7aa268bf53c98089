import type { Clock, Timer } from '@smartpulse/resilience';

/** The broker ends idle connections after 300 s and pings nobody by itself. */
const INTERVAL_MS = 30_000;

/** Finds out that a peer is gone although its connection looks open. */
export class Heartbeat {
  #timer: Timer | undefined;
  #answered = true;

  /**
   * @param ping asks the peer for a sign of life.
   * @param onSilence hears that none came until the next ping was due.
   */
  constructor(
    private readonly clock: Clock,
    private readonly ping: () => void,
    private readonly onSilence: () => void,
  ) {
    this.#schedule();
  }

  /** The peer has sent something. */
  heard(): void {
    this.#answered = true;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #schedule(): void {
    this.#timer = this.clock.setTimer(INTERVAL_MS, () => {
      if (!this.#answered) {
        this.#timer = undefined;
        this.onSilence();
        return;
      }
      this.#answered = false;
      this.ping();
      this.#schedule();
    });
  }
}
