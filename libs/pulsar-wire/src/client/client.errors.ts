import { WireError } from '../pulsar-wire.errors.js';

/** No connection could be made, or it went away while something was on the way. */
export class ConnectionError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_CONNECTION';
  readonly code = ConnectionError.code;

  /**
   * @param address where to, without credentials.
   * @param problem what happened, as half a sentence.
   * @param details `ambiguous`: the broker may have done what was asked; `cause`: the error underneath.
   */
  constructor(
    readonly address: string,
    problem: string,
    details: { readonly ambiguous?: boolean; readonly cause?: unknown } = {},
  ) {
    super(`The connection to ${address} ${problem}.`, {
      kind: 'transient',
      remedy: 'Check that the broker runs and that the address, the network and the TLS settings are right.',
      ...details,
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is ConnectionError {
    return WireError.hasCode(error, ConnectionError.code);
  }
}

/** The broker did not answer in time. */
export class RequestTimeoutError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_REQUEST_TIMEOUT';
  readonly code = RequestTimeoutError.code;

  /**
   * @param request what was asked, `subscribe`.
   * @param timeoutMs how long it was waited for, in milliseconds.
   * @param cause the last failure, when it was tried more than once.
   */
  constructor(
    readonly request: string,
    readonly timeoutMs: number,
    cause?: unknown,
  ) {
    super(`No answer to "${request}" within ${timeoutMs} ms.`, {
      kind: 'transient',
      ambiguous: true,
      remedy: 'Try again later, or raise the timeout.',
      cause,
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is RequestTimeoutError {
    return WireError.hasCode(error, RequestTimeoutError.code);
  }
}

/** The broker did not acknowledge a message in time: it may have stored it, unless no connection took it. */
export class SendTimeoutError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_SEND_TIMEOUT';
  readonly code = SendTimeoutError.code;

  /**
   * @param sendTimeoutMs the producer's option, in milliseconds.
   * @param details `ambiguous`: whether it was on its way. Default `true`.
   */
  constructor(
    readonly topic: string,
    readonly sendTimeoutMs: number,
    details: { readonly ambiguous?: boolean; readonly cause?: unknown } = {},
  ) {
    const { ambiguous = true, cause } = details;
    super(
      ambiguous
        ? `A message on ${topic} was not acknowledged within ${sendTimeoutMs} ms.`
        : `No connection took a message on ${topic} within ${sendTimeoutMs} ms: nothing was sent.`,
      {
        kind: 'transient',
        ambiguous,
        remedy: ambiguous
          ? 'Send it again if a duplicate does no harm, or use deduplication with sendTimeoutMs: 0.'
          : 'Send it again when the broker is back.',
        cause,
      },
    );
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is SendTimeoutError {
    return WireError.hasCode(error, SendTimeoutError.code);
  }
}

/** The client, producer or consumer was closed. */
export class WireClosedError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_CLOSED';
  readonly code = WireClosedError.code;

  /**
   * @param part what is closed: `client`, `producer`, `consumer`.
   * @param details `ambiguous`: the broker may have done what was on the way; `cause`: why it is closed.
   */
  constructor(
    readonly part: string,
    details: { readonly ambiguous?: boolean; readonly cause?: unknown } = {},
  ) {
    super(`The ${part} is closed.`, { kind: 'recreate', remedy: 'Make another one.', ...details });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is WireClosedError {
    return WireError.hasCode(error, WireClosedError.code);
  }
}

/** The caller's signal ended the wait before anything was sent. */
export class WaitAbortedError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_WAIT_ABORTED';
  readonly code = WaitAbortedError.code;

  /** @param cause the signal's reason. */
  constructor(cause?: unknown) {
    super('The wait for room in the queue was aborted.', {
      kind: 'permanent',
      remedy: 'Nothing was sent; send again when there is room.',
      cause,
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is WaitAbortedError {
    return WireError.hasCode(error, WaitAbortedError.code);
  }
}

/** An option is wrong, or this client cannot honour it. */
export class InvalidWireOptionError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_INVALID_OPTION';
  readonly code = InvalidWireOptionError.code;

  /**
   * @param option its path, `batching.maxMessages`.
   * @param problem what is expected, as half a sentence.
   */
  constructor(
    readonly option: string,
    problem: string,
  ) {
    super(`Option "${option}" ${problem}.`, { kind: 'permanent', remedy: 'Correct it where the call is made.' });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is InvalidWireOptionError {
    return WireError.hasCode(error, InvalidWireOptionError.code);
  }
}

/** The protocol or this version of the client has no such thing. */
export class UnsupportedOperationError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_UNSUPPORTED';
  readonly code = UnsupportedOperationError.code;

  /**
   * @param problem what was asked for and why it is refused, a sentence.
   * @param remedy what to do instead, a sentence.
   */
  constructor(problem: string, remedy: string) {
    super(problem, { kind: 'permanent', remedy });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is UnsupportedOperationError {
    return WireError.hasCode(error, UnsupportedOperationError.code);
  }
}

/** Some partitions of a topic were not moved by a seek; the others are where they were sought. Seek again. */
export class SeekIncompleteError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_SEEK_INCOMPLETE';
  readonly code = SeekIncompleteError.code;

  /**
   * @param partitions those that were not moved, by their numbers.
   * @param cause what the first of them said; its kind is that of the whole.
   * @param details `ambiguous`: some may have been moved all the same.
   */
  constructor(
    readonly topic: string,
    readonly partitions: readonly number[],
    cause: WireError,
    details: { readonly ambiguous?: boolean } = {},
  ) {
    const which = `${partitions.length === 1 ? 'Partition' : 'Partitions'} ${partitions.join(', ')} of ${topic}`;
    super(`${which} ${partitions.length === 1 ? 'was' : 'were'} not moved: ${cause.message}`, {
      kind: cause.kind,
      remedy: 'The others are where they were sought: seek again.',
      ...details,
      cause,
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is SeekIncompleteError {
    return WireError.hasCode(error, SeekIncompleteError.code);
  }
}

/** The function that supplies the token failed. */
export class TokenSupplierError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_TOKEN_SUPPLIER';
  readonly code = TokenSupplierError.code;

  constructor(cause: unknown) {
    super('The token supplier failed.', {
      kind: 'transient',
      remedy: 'Let it answer a token; see the cause.',
      cause,
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is TokenSupplierError {
    return WireError.hasCode(error, TokenSupplierError.code);
  }
}

/** Something failed that should not fail: a defect of this client or of what was handed into it. See the cause. */
export class UnexpectedWireError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_UNEXPECTED';
  readonly code = UnexpectedWireError.code;

  constructor(cause: unknown) {
    super('Something unexpected failed.', { kind: 'permanent', ambiguous: true, remedy: 'See the cause.', cause });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is UnexpectedWireError {
    return WireError.hasCode(error, UnexpectedWireError.code);
  }
}

/** The error itself when it is one of ours. */
export function toWireError(error: unknown): WireError {
  return error instanceof WireError ? error : new UnexpectedWireError(error);
}
