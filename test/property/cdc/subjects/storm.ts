import type { Clock, Random } from '@smartpulse/resilience';
import type { SqlMessage } from '../../../support/sql-server/seam.js';
import {
  type ConnectFault,
  FaultPlan,
  type RequestFault,
  type RequestPoint,
} from '../../../support/sql-server/wire/faults/fault-plan.js';
import type { SubjectOptions } from './subject.js';

const error = (number: number, severity: number, text: string): RequestFault => ({
  kind: 'error',
  message: { number, class: severity, state: 1, line: 1, message: text } satisfies SqlMessage,
});

const BUSY = [['too busy', () => error(40_501, 20, 'The service is currently busy.')]] as const;

/** Errors and cuts by chance, of statements and of their answers, and a server that is away for a while. */
export class Storm extends FaultPlan {
  readonly #options: SubjectOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Statements that wait for time to go on. */
  holding = 0;
  #awayUntilMs = 0;

  constructor(options: SubjectOptions, clock: Clock) {
    super();
    this.#options = options;
    this.#clock = clock;
    this.#random = options.random;
  }

  goAway(forMs: number): void {
    this.#awayUntilMs = this.#clock.monotonic() + forMs;
  }

  /** A statement, or the work between two of them, waits for so many milliseconds. */
  async hold(ms: number): Promise<void> {
    this.holding += 1;
    await this.#clock.sleep(ms);
    this.holding -= 1;
  }

  override atConnect(): ConnectFault | undefined {
    return this.#away ? { kind: 'cut' } : undefined;
  }

  override atRequest({ kind }: Pick<RequestPoint, 'kind'>): RequestFault | undefined {
    if (this.#away) {
      return { kind: 'cut', when: 'execution' };
    }
    // No server refuses to roll back.
    if (kind === 'rollback' || !this.#options.troubled() || this.#random.next() >= 0.06) {
      return undefined;
    }
    // A server that is too busy is left alone for so long that nothing else would happen.
    const faults = this.#random.next() < 0.03 ? BUSY : this.#faults;
    const [name, fault] = faults[this.#random.int(faults.length)] ?? [];
    this.#options.note(`statements: ${name}`);
    return fault?.();
  }

  get #away(): boolean {
    return this.#clock.monotonic() < this.#awayUntilMs;
  }

  readonly #faults: readonly (readonly [string, () => RequestFault])[] = [
    ['deadlock', () => error(1205, 13, 'Transaction was deadlocked on lock resources with another process.')],
    ['lock timeout', () => error(1222, 16, 'Lock request time out period exceeded.')],
    ['snapshot conflict', () => error(3960, 16, 'Snapshot isolation transaction aborted due to update conflict.')],
    ['cut before', () => ({ kind: 'cut', when: 'execution' })],
    ['cut after', () => ({ kind: 'cut', when: 'reply' })],
    ['slow to arrive', () => ({ kind: 'wait', when: 'execution', until: () => this.#while() })],
    ['slow to answer', () => ({ kind: 'wait', when: 'reply', until: () => this.#while() })],
  ];

  #while(): Promise<void> {
    return this.#options.onItsWay(() => this.hold(this.#random.int(400)));
  }
}
