import type { Random } from '@smartpulse/resilience';
import { FaultPlan, type LoginFault, type LoginPoint, type RequestFault, type RequestPoint } from './fault-plan.js';

/** What may go wrong, and how likely at each point. */
export interface SeededFaultsOptions {
  readonly random: Random;
  /** Between 0 and 1. */
  readonly requestRate: number;
  readonly requestFaults: readonly RequestFault[];
  /** Between 0 and 1. Default 0. */
  readonly loginRate?: number;
  readonly loginFaults?: readonly LoginFault[];
  /** Which requests may be struck. Default: all. */
  readonly only?: (point: RequestPoint) => boolean;
}

/** Faults by chance, the same ones for the same seed and the same order of requests. */
export class SeededFaults extends FaultPlan {
  private calm = false;

  constructor(private readonly options: SeededFaultsOptions) {
    super();
  }

  /** Nothing goes wrong from here on: what is left must come to rest. */
  stop(): void {
    this.calm = true;
  }

  override atLogin(_point: LoginPoint): LoginFault | undefined {
    return this.choose(this.options.loginRate ?? 0, this.options.loginFaults ?? []);
  }

  override atRequest(point: RequestPoint): RequestFault | undefined {
    return this.options.only?.(point) === false
      ? undefined
      : this.choose(this.options.requestRate, this.options.requestFaults);
  }

  private choose<F>(rate: number, faults: readonly F[]): F | undefined {
    if (this.calm || this.options.random.next() >= rate) {
      return undefined;
    }
    return faults[Math.floor(this.options.random.next() * faults.length)];
  }
}
