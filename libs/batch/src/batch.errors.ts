import { SmartPulseError } from '@smartpulse/resilience';

/** There is no room and the caller asked not to wait (overflow `reject`), or too many callers wait already. */
export class QueueFullError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_BATCH_QUEUE_FULL';
  readonly code = QueueFullError.code;

  /**
   * @param owner name of the worker or queue.
   * @param bound which bound is reached: `capacity`, `maxPerKey` or `maxWaiters`.
   */
  constructor(
    readonly owner: string,
    readonly bound: 'capacity' | 'maxPerKey' | 'maxWaiters',
  ) {
    super(`"${owner}" is full: its bound "${bound}" is reached.`, {
      remedy: 'Slow the producer down, make the handler faster or raise the bound.',
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is QueueFullError {
    return SmartPulseError.hasCode(error, QueueFullError.code);
  }
}

/** The worker or queue drains or has stopped: the item was not accepted, or it was accepted and left over. */
export class WorkerStoppedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_BATCH_STOPPED';
  readonly code = WorkerStoppedError.code;

  /**
   * @param owner name of the worker or queue.
   * @param item `refused`: never accepted; `unstarted`: accepted, no handler saw it; `interrupted`: a handler had it when the
   *   time was used up, its outcome is unknown.
   */
  constructor(
    readonly owner: string,
    readonly item: 'refused' | 'unstarted' | 'interrupted',
  ) {
    super(
      {
        refused: `"${owner}" is stopping and takes no more items.`,
        unstarted: `"${owner}" stopped before the item's turn came.`,
        interrupted: `"${owner}" stopped while a handler had the item: its outcome is unknown.`,
      }[item],
      { remedy: 'Submit the item again after the restart, by a handler that may see an item twice.' },
    );
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is WorkerStoppedError {
    return SmartPulseError.hasCode(error, WorkerStoppedError.code);
  }
}

/** The item alone weighs more than the whole capacity: waiting would never end. */
export class ItemTooHeavyError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_BATCH_ITEM_TOO_HEAVY';
  readonly code = ItemTooHeavyError.code;

  constructor(
    readonly owner: string,
    readonly weight: number,
    readonly capacityWeight: number,
  ) {
    super(`An item of weight ${weight} can never fit into "${owner}", whose whole capacity is ${capacityWeight}.`, {
      remedy: 'Split the item or raise "capacityWeight".',
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is ItemTooHeavyError {
    return SmartPulseError.hasCode(error, ItemTooHeavyError.code);
  }
}

/** `weigh` answered something that is no weight. */
export class InvalidWeightError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_BATCH_INVALID_WEIGHT';
  readonly code = InvalidWeightError.code;

  constructor(
    readonly owner: string,
    found: unknown,
  ) {
    super(`"weigh" of "${owner}" answered ${typeof found === 'number' ? found : `a value of type ${typeof found}`}.`, {
      remedy: 'Answer a finite number of 0 or more.',
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is InvalidWeightError {
    return SmartPulseError.hasCode(error, InvalidWeightError.code);
  }
}

/** The handler broke its contract: a mistake in its code, never in the items. All items of the batch are rejected with it. */
export class HandlerContractError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_BATCH_HANDLER_CONTRACT';
  readonly code = HandlerContractError.code;

  /**
   * @param owner name of the worker or queue.
   * @param problem what the handler answered and what is expected, as a sentence.
   */
  constructor(
    readonly owner: string,
    problem: string,
  ) {
    super(`The handler of "${owner}" broke its contract: ${problem}`, { remedy: 'Correct the handler.' });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is HandlerContractError {
    return SmartPulseError.hasCode(error, HandlerContractError.code);
  }
}

/** The handler threw something that is no `Error`; what it threw is the `cause`. */
export class HandlerThrewError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_BATCH_HANDLER_THREW';
  readonly code = HandlerThrewError.code;

  constructor(
    readonly owner: string,
    thrown: unknown,
  ) {
    super(`The handler of "${owner}" threw a value of type ${typeof thrown}.`, {
      remedy: 'Throw instances of Error.',
      cause: thrown,
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is HandlerThrewError {
    return SmartPulseError.hasCode(error, HandlerThrewError.code);
  }
}
