import { type SqlMessage } from '../../seam.js';

/** An error of the server in the form of `mssql`: the last one that was sent, the others before it. */
export class DirectRequestError extends Error {
  override readonly name = 'RequestError';
  readonly code = 'EREQUEST';
  readonly number: number;
  readonly state: number;
  readonly class: number;
  readonly lineNumber: number;
  readonly precedingErrors: readonly DirectRequestError[];

  constructor({ message, number, state, class: severity, line }: SqlMessage, preceding: readonly SqlMessage[] = []) {
    super(message);
    this.number = number;
    this.state = state;
    this.class = severity;
    this.lineNumber = line;
    this.precedingErrors = preceding.map((one) => new DirectRequestError(one));
  }
}

/** A connection that is gone, or never stood. */
export class DirectConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code = 'ESOCKET';

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
  }
}
