/**
 * What to do with an error. `transient`: try again later, with a fresh lookup. `backpressure`: the broker or a queue is full, slow
 * down. `recreate`: the producer or consumer is gone or its place is still taken by its predecessor, attach again. `permanent`:
 * trying again changes nothing.
 */
export type WireErrorKind = 'transient' | 'backpressure' | 'recreate' | 'permanent';

/** What a {@link WireError} carries beside its sentence. */
export interface WireErrorDetails {
  readonly kind: WireErrorKind;
  /** What to do about it: a full sentence, added to the message. */
  readonly remedy: string;
  /** `true`: the broker may have done what was asked although the call failed. Default `false`. */
  readonly ambiguous?: boolean | undefined;
  /** The error underneath, if any. */
  readonly cause?: unknown;
}

/** The base of all errors of this package: a stable `code`, a `kind` that says what to do, a sentence that says how to mend it. */
export abstract class WireError extends Error {
  /** Stable: `SMARTPULSE_WIRE_…`. */
  abstract readonly code: string;
  readonly kind: WireErrorKind;
  /** `true`: the broker may have done it all the same; doing it again may do it twice. */
  readonly ambiguous: boolean;
  /** What to do about it. */
  readonly remedy: string;

  protected constructor(problem: string, details: WireErrorDetails) {
    super(`${problem} ${details.remedy}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.kind = details.kind;
    this.ambiguous = details.ambiguous ?? false;
    this.remedy = details.remedy;
  }

  /** Whether `error` carries this code; the guards of the classes are made of it. */
  protected static hasCode(error: unknown, code: string): boolean {
    return error instanceof Error && 'code' in error && error.code === code;
  }
}

/** Bytes from the other side are not what the protocol says. The stream cannot be trusted any more: close the connection. */
export class MalformedFrameError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_MALFORMED_FRAME';
  readonly code = MalformedFrameError.code;

  /** @param problem what was found and where, never the bytes themselves. */
  constructor(problem: string) {
    super(`Malformed Pulsar frame: ${problem}.`, {
      kind: 'transient',
      remedy: 'Close the connection; if it happens again, the other side is no Pulsar broker.',
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is MalformedFrameError {
    return WireError.hasCode(error, MalformedFrameError.code);
  }
}

/** The other side announced a frame above the limit. Nothing of it was stored. The connection must be closed. */
export class FrameTooLargeError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_FRAME_TOO_LARGE';
  readonly code = FrameTooLargeError.code;

  constructor(
    readonly frameBytes: number,
    readonly maxFrameBytes: number,
  ) {
    super(`A frame of ${frameBytes} bytes was announced; the limit is ${maxFrameBytes} bytes.`, {
      kind: 'permanent',
      remedy: 'Raise the limit to that of the broker, or check that the address is a Pulsar broker port.',
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is FrameTooLargeError {
    return WireError.hasCode(error, FrameTooLargeError.code);
  }
}

/**
 * A message is above what the broker takes. Found before it is sent, to this broker at least: a broker that gets such a frame closes the whole
 * connection without a word.
 */
export class MessageTooLargeError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_MESSAGE_TOO_LARGE';
  readonly code = MessageTooLargeError.code;

  /** @param details `ambiguous`: a broker that takes more was sent it before, and may have stored it. */
  constructor(
    readonly messageBytes: number,
    readonly maxMessageBytes: number,
    details: { readonly ambiguous?: boolean } = {},
  ) {
    super(`The message takes ${messageBytes} bytes; the broker accepts ${maxMessageBytes}.`, {
      kind: 'permanent',
      ...details,
      remedy: 'Send less at once, compress it, or raise "maxMessageSize" of the broker.',
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is MessageTooLargeError {
    return WireError.hasCode(error, MessageTooLargeError.code);
  }
}

/** Why a stored entry cannot be handed out; the number is what an acknowledgement tells the broker. */
export type EntryDefect = 'size' | 'decompression' | 'checksum' | 'batch' | 'decryption';

const VALIDATION_ERRORS: Readonly<Record<EntryDefect, number>> = {
  size: 0,
  decompression: 1,
  checksum: 2,
  batch: 3,
  decryption: 4,
};

/**
 * One stored entry is damaged. The connection is sound and goes on: acknowledge the entry with {@link validationError}, give its
 * permits back and say so loudly. Closing the connection would bring the same entry again, for ever.
 */
export class CorruptEntryError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_CORRUPT_ENTRY';
  readonly code = CorruptEntryError.code;
  /** The number for the field `validationError` of an acknowledgement. */
  readonly validationError: number;

  /**
   * @param defect what is wrong with it.
   * @param problem the same as half a sentence.
   * @param cause the error underneath, if any.
   */
  constructor(
    readonly defect: EntryDefect,
    problem: string,
    cause?: unknown,
  ) {
    super(`A stored entry cannot be read: ${problem}.`, {
      kind: 'permanent',
      remedy: 'Find the producer that wrote it; the entry is lost to this subscription.',
      cause,
    });
    this.validationError = VALIDATION_ERRORS[defect];
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is CorruptEntryError {
    return WireError.hasCode(error, CorruptEntryError.code);
  }
}

/** Compressed bytes do not give what they announce: damaged, truncated, or larger than allowed. */
export class DecompressionError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_DECOMPRESSION';
  readonly code = DecompressionError.code;

  /**
   * @param compression the name of the format.
   * @param problem what is wrong, as half a sentence.
   * @param cause the error underneath, if any.
   */
  constructor(
    readonly compression: string,
    problem: string,
    cause?: unknown,
  ) {
    super(`Cannot decompress ${compression}: ${problem}.`, {
      kind: 'permanent',
      remedy: 'Find the producer that wrote it.',
      cause,
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is DecompressionError {
    return WireError.hasCode(error, DecompressionError.code);
  }
}

/** A value that the protocol has no bytes for: a negative count, a missing required field. A mistake in the calling code. */
export class UnencodableValueError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_UNENCODABLE_VALUE';
  readonly code = UnencodableValueError.code;

  /** @param problem which field, and what is expected. */
  constructor(problem: string) {
    super(`Cannot encode: ${problem}.`, { kind: 'permanent', remedy: 'Correct the caller.' });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is UnencodableValueError {
    return WireError.hasCode(error, UnencodableValueError.code);
  }
}

/** A text or bytes that are no message id. */
export class InvalidMessageIdError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_INVALID_MESSAGE_ID';
  readonly code = InvalidMessageIdError.code;

  /** @param problem what is wrong with it. */
  constructor(problem: string) {
    super(`No message id: ${problem}.`, {
      kind: 'permanent',
      remedy: 'Expected "ledger:entry:partition" or "ledger:entry:partition:batchIndex", or the bytes of toBytes().',
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is InvalidMessageIdError {
    return WireError.hasCode(error, InvalidMessageIdError.code);
  }
}

/** A text that is no topic name. */
export class InvalidTopicNameError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_INVALID_TOPIC_NAME';
  readonly code = InvalidTopicNameError.code;

  /**
   * @param topic the text.
   * @param problem what is wrong with it.
   */
  constructor(
    readonly topic: string,
    problem: string,
  ) {
    super(`Invalid topic name ${JSON.stringify(topic)}: ${problem}.`, {
      kind: 'permanent',
      remedy: 'Expected "topic", "tenant/namespace/topic" or "persistent://tenant/namespace/topic".',
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is InvalidTopicNameError {
    return WireError.hasCode(error, InvalidTopicNameError.code);
  }
}

/** A text that is no service URL. The text itself is not shown: it may hold a credential. */
export class InvalidServiceUrlError extends WireError {
  static readonly code = 'SMARTPULSE_WIRE_INVALID_SERVICE_URL';
  readonly code = InvalidServiceUrlError.code;

  /** @param problem what is wrong with it. */
  constructor(problem: string) {
    super(`Invalid Pulsar service URL: ${problem}.`, {
      kind: 'permanent',
      remedy: 'Expected "pulsar://host:6650", "pulsar+ssl://host:6651" or several hosts: "pulsar://a:6650,b:6650".',
    });
  }

  /** Whether `error` is one of these. */
  static is(error: unknown): error is InvalidServiceUrlError {
    return WireError.hasCode(error, InvalidServiceUrlError.code);
  }
}
