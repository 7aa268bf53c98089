import { type Random } from '@smartpulse/resilience';
import { type EngineFault, fault } from '../errors/fault.js';
import { deadlocked } from '../errors/transaction-faults.js';

/** A statement that is about to run. */
export interface StatementPoint {
  /** As it was written. */
  readonly sql: string;
  readonly database: string;
  readonly user: string;
  readonly sessionId: number;
}

/** What is to happen before a statement: an error in its place, something beside it, or both. */
export interface EngineFaultRule {
  readonly matches: RegExp | ((point: StatementPoint) => boolean);
  /** Matching statements that pass before the rule applies. Default 0. */
  readonly skip?: number;
  /** How often it applies. Default once. */
  readonly times?: number;
  /** Of those that it could apply to, the share that it does. Default all. */
  readonly probability?: number;
  /** Something that happens just before: a clean-up between probe and read, a commit of another. */
  readonly before?: (point: StatementPoint) => void;
  /** The error that the statement ends with. */
  readonly error?: (point: StatementPoint) => EngineFault;
}

interface Armed extends EngineFaultRule {
  seen: number;
  applied: number;
}

/** Faults of the engine by statement, in the order in which they were added. Chance comes from a seed, so a run repeats. */
export class EngineFaults {
  readonly #rules: Armed[] = [];

  constructor(private readonly random: Random) {}

  /** How often rules have applied. */
  get applied(): number {
    return this.#rules.reduce((sum, rule) => sum + rule.applied, 0);
  }

  add(rule: EngineFaultRule): this {
    this.#rules.push({ ...rule, seen: 0, applied: 0 });
    return this;
  }

  /** The n-th statement that matches ends with an error of that number. */
  failWith(number: number, severity: number, message: string, rule: Omit<EngineFaultRule, 'error'>): this {
    return this.add({ ...rule, error: () => fault(number, severity, 1, message) });
  }

  /** The statement is the victim of a deadlock. */
  deadlock(rule: Omit<EngineFaultRule, 'error'>): this {
    return this.add({ ...rule, error: ({ sessionId }) => deadlocked(sessionId) });
  }

  clear(): void {
    this.#rules.length = 0;
  }

  /** @throws EngineFault of the first rule that applies and has an error. */
  meet(point: StatementPoint): void {
    for (const rule of this.#rules) {
      if (this.#applies(rule, point)) {
        rule.applied++;
        rule.before?.(point);
        const error = rule.error?.(point);
        if (error !== undefined) {
          throw error;
        }
      }
    }
  }

  #applies(rule: Armed, point: StatementPoint): boolean {
    const { matches, skip = 0, times = 1, probability = 1 } = rule;
    if (!(matches instanceof RegExp ? matches.test(point.sql) : matches(point)) || rule.applied >= times) {
      return false;
    }
    rule.seen++;
    return rule.seen > skip && (probability >= 1 || this.random.next() < probability);
  }
}
