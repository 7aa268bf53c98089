import { HealthProbe, type ProbeDetails, type ProbeResult, type ProbeStatus } from '@smartpulse/resilience';

/** A probe that says what a test tells it. */
export class StubHealthProbe extends HealthProbe {
  /** What the next check answers. */
  status: ProbeStatus = 'up';
  details: ProbeDetails = {};
  /** What the next check throws instead of answering. */
  error: Error | undefined;
  /** `true`: checks never answer and do not listen to their signal. */
  hangs = false;
  isStarted = true;
  /** How often it was asked. */
  asked = 0;

  constructor(
    override readonly name: string,
    override readonly critical: boolean = false,
  ) {
    super();
  }

  override check(): ProbeResult | Promise<ProbeResult> {
    this.asked += 1;
    if (this.error !== undefined) {
      throw this.error;
    }
    return this.hangs ? new Promise(() => {}) : { status: this.status, details: this.details };
  }

  override started(): boolean {
    return this.isStarted;
  }
}
