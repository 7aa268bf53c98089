import { type Clock } from '@smartpulse/resilience';
import { deadlocked, lockTimeout } from '../errors/transaction-faults.js';
import { type Transaction } from './transaction.js';

/** Intent shared, intent exclusive, shared, update, exclusive. */
export type LockMode = 'IS' | 'IX' | 'S' | 'U' | 'X';

/** A table or a row: what can be locked. */
export interface Lockable {
  readonly holders: Map<Transaction, Set<LockMode>>;
}

const COMPATIBLE: Readonly<Record<LockMode, readonly LockMode[]>> = {
  IS: ['IS', 'IX', 'S', 'U'],
  IX: ['IS', 'IX'],
  S: ['IS', 'S', 'U'],
  U: ['IS', 'S'],
  X: [],
};

/** Thrown by a statement that must wait: it is undone, waits for a holder to end, and runs again. */
export class LockConflict extends Error {
  constructor(readonly holders: readonly Transaction[]) {
    super('a lock is held by another transaction');
    this.name = 'LockConflict';
  }
}

/** How long and for how much a statement waits. */
export interface LockWait {
  /** Milliseconds; below 0 = for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

interface Waiter {
  readonly holders: readonly Transaction[];
  readonly kill: () => void;
}

/** Takes locks, finds who must wait for whom, and ends deadlocks. Locks are given back when their transaction ends. */
export class LockManager {
  readonly #waiters = new Map<Transaction, Waiter>();

  constructor(private readonly clock: Clock) {}

  /** Sessions that wait for a lock now. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** @throws LockConflict */
  acquire(transaction: Transaction, target: Lockable, mode: LockMode): void {
    this.probe(transaction, target, mode);
    const held = target.holders.get(transaction);
    if (held === undefined) {
      target.holders.set(transaction, new Set([mode]));
      transaction.locked.add(target);
    } else {
      held.add(mode);
    }
  }

  /** Asks whether the lock could be had, and takes none. @throws LockConflict */
  probe(transaction: Transaction, target: Lockable, mode: LockMode): void {
    const others = [...target.holders].filter(
      ([holder, modes]) => holder !== transaction && [...modes].some((one) => !COMPATIBLE[mode].includes(one)),
    );
    if (others.length > 0) {
      throw new LockConflict(others.map(([holder]) => holder));
    }
  }

  /**
   * Waits until one of the holders ends.
   *
   * @throws 1222 after the timeout, 1205 when this transaction is the victim of a deadlock, the signal's reason when it aborts.
   */
  async wait(transaction: Transaction, conflict: LockConflict, { timeoutMs, signal }: LockWait): Promise<void> {
    signal.throwIfAborted();
    const holders = conflict.holders.filter(({ ended }) => !ended);
    if (holders.length === 0) {
      return;
    }
    if (timeoutMs === 0) {
      throw lockTimeout();
    }
    let leave: readonly (() => void)[] = [];
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = timeoutMs > 0 ? this.clock.setTimer(timeoutMs, () => reject(lockTimeout())) : undefined;
        const onAbort = (): void => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        leave = [
          ...holders.map((holder) => holder.onEnd(resolve)),
          () => timer?.cancel(),
          () => signal.removeEventListener('abort', onAbort),
        ];
        this.#waiters.set(transaction, { holders, kill: () => reject(deadlocked(transaction.sessionId)) });
        this.#endDeadlock(transaction);
      });
    } finally {
      this.#waiters.delete(transaction);
      leave.forEach((one) => one());
    }
  }

  /** The victim is the transaction of lowest priority, then the one that did least, then the one that closed the circle. */
  #endDeadlock(requester: Transaction): void {
    const circle = this.#circleOf(requester, requester, new Set());
    if (circle === undefined) {
      return;
    }
    const victim = [requester, ...circle].reduce((chosen, one) =>
      one.deadlockPriority < chosen.deadlockPriority ||
      (one.deadlockPriority === chosen.deadlockPriority && one.work < chosen.work)
        ? one
        : chosen,
    );
    this.#waiters.get(victim)?.kill();
  }

  #circleOf(start: Transaction, from: Transaction, seen: Set<Transaction>): readonly Transaction[] | undefined {
    for (const holder of this.#waiters.get(from)?.holders ?? []) {
      if (holder === start) {
        return [];
      }
      if (!seen.has(holder)) {
        seen.add(holder);
        const rest = this.#circleOf(start, holder, seen);
        if (rest !== undefined) {
          return [holder, ...rest];
        }
      }
    }
    return undefined;
  }
}
