import {
  type AttentionFault,
  type ConnectFault,
  type ConnectPoint,
  FaultPlan,
  type LoginFault,
  type LoginPoint,
  type RequestFault,
  type RequestPoint,
} from './fault-plan.js';

/** How often a scripted fault strikes. */
export interface Strikes {
  /** Matching points that pass unharmed first. Default 0. */
  readonly skip?: number;
  /** How often it strikes then. Default 1. */
  readonly times?: number;
}

/** Which requests a fault is for: a part of the SQL, or any test of the point. */
export type RequestMatch = string | RegExp | ((point: RequestPoint) => boolean);

interface Entry<P, F> {
  readonly matches: (point: P) => boolean;
  readonly fault: F;
  skip: number;
  times: number;
}

/** Faults one by one, as a test writes them down; the first that matches strikes. */
export class FaultScript extends FaultPlan {
  private readonly connects: Entry<ConnectPoint, ConnectFault>[] = [];
  private readonly logins: Entry<LoginPoint, LoginFault>[] = [];
  private readonly requests: Entry<RequestPoint, RequestFault>[] = [];
  private readonly attentions: Entry<ConnectPoint, AttentionFault>[] = [];

  onConnect(fault: ConnectFault, strikes?: Strikes): this {
    this.connects.push(entry(always, fault, strikes));
    return this;
  }

  onLogin(fault: LoginFault, strikes?: Strikes): this {
    this.logins.push(entry(always, fault, strikes));
    return this;
  }

  onRequest(match: RequestMatch, fault: RequestFault, strikes?: Strikes): this {
    this.requests.push(entry(matcher(match), fault, strikes));
    return this;
  }

  onAttention(fault: AttentionFault, strikes?: Strikes): this {
    this.attentions.push(entry(always, fault, strikes));
    return this;
  }

  /** Strikes that have not happened yet: a test whose fault never struck proves nothing. */
  get pending(): number {
    return [this.connects, this.logins, this.requests, this.attentions]
      .flatMap((entries): readonly { readonly times: number }[] => entries)
      .reduce((sum, { times }) => sum + times, 0);
  }

  override atConnect(point: ConnectPoint): ConnectFault | undefined {
    return strike(this.connects, point);
  }

  override atLogin(point: LoginPoint): LoginFault | undefined {
    return strike(this.logins, point);
  }

  override atRequest(point: RequestPoint): RequestFault | undefined {
    return strike(this.requests, point);
  }

  override atAttention(point: ConnectPoint): AttentionFault | undefined {
    return strike(this.attentions, point);
  }
}

function always(): boolean {
  return true;
}

function matcher(match: RequestMatch): (point: RequestPoint) => boolean {
  if (typeof match === 'function') {
    return match;
  }
  return typeof match === 'string' ? ({ sql }) => sql.includes(match) : ({ sql }) => match.test(sql);
}

function entry<P, F>(matches: (point: P) => boolean, fault: F, { skip = 0, times = 1 }: Strikes = {}): Entry<P, F> {
  return { matches, fault, skip, times };
}

function strike<P, F>(entries: readonly Entry<P, F>[], point: P): F | undefined {
  for (const candidate of entries) {
    if (candidate.times > 0 && candidate.matches(point)) {
      if (candidate.skip > 0) {
        candidate.skip -= 1;
        continue;
      }
      candidate.times -= 1;
      return candidate.fault;
    }
  }
  return undefined;
}
