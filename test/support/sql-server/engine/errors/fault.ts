import { SqlServerFault } from '../../seam.js';

/** An error as `sys.messages` has it; the line is told by whoever runs the statement. */
export function fault(
  number: number,
  severity: number,
  state: number,
  message: string,
  followedBy: readonly SqlServerFault[] = [],
): EngineFault {
  return new EngineFault(number, severity, state, message, followedBy);
}

/** A fault of the engine, with what SQL Server says after it in the same breath (`ALTER DATABASE statement failed.`). */
export class EngineFault extends SqlServerFault {
  readonly followedBy: readonly SqlServerFault[];

  constructor(
    number: number,
    severity: number,
    state: number,
    message: string,
    followedBy: readonly SqlServerFault[] = [],
    line = 0,
  ) {
    super({ number, state, class: severity, message, line });
    this.followedBy = followedBy;
  }

  /** The same, told of a line; a line that is told already stays. */
  at(line: number): EngineFault {
    const { number, state, class: severity, message, line: told } = this.details;
    return told === 0 ? new EngineFault(number, severity, state, message, this.followedBy, line) : this;
  }
}

/** Valid T-SQL that this engine does not know: says so, instead of guessing. */
export function unsupported(what: string): EngineFault {
  return fault(50_000, 16, 1, `The test engine does not know ${what}.`);
}

/** Errors after which SQL Server rolls the transaction back and ends the batch by itself. */
const DOOMING: ReadonlySet<number> = new Set([1205, 3951, 3952, 3960, 3961, 245, 241, 8114, 8169]);

/** Errors that end the batch and leave the transaction as it is. */
const BATCH_ENDING: ReadonlySet<number> = new Set([208, 207, 2812, 22105]);

/** What an error means for the rest of the batch and for the open transaction. */
export function consequenceOf(
  { details }: SqlServerFault,
  { xactAbort }: { readonly xactAbort: boolean },
): 'statement' | 'batch' | 'transaction' {
  if (DOOMING.has(details.number) || (xactAbort && details.class > 10) || details.class >= 20) {
    return 'transaction';
  }
  return BATCH_ENDING.has(details.number) ? 'batch' : 'statement';
}
