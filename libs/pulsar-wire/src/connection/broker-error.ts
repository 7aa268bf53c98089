import { serverError } from '../protocol/server-error.js';
import { WireError, type WireErrorKind } from '../pulsar-wire.errors.js';

const REMEDIES: Readonly<Record<WireErrorKind, string>> = Object.freeze({
  transient: 'Try again later, with a fresh lookup.',
  backpressure: 'Slow down until the consumers have caught up, or raise the quota.',
  recreate: 'Close what has its place, or use another name; then create it again.',
  permanent: 'Correct what the broker says; trying again changes nothing.',
});

/** Error numbers that the client acts upon. */
export const REFUSAL = Object.freeze({
  Metadata: 1,
  Authentication: 3,
  ConsumerBusy: 5,
  QuotaError: 7,
  QuotaException: 8,
  Checksum: 9,
  TooManyRequests: 14,
  TopicTerminated: 15,
  ProducerBusy: 16,
  NotAllowed: 22,
  ProducerFenced: 25,
});

/** Where this client acts otherwise: a refused lookup is tried again, and a fenced producer may be made anew by its owner. */
const OWN_KINDS: ReadonlyMap<number, WireErrorKind> = new Map([
  [REFUSAL.TooManyRequests, 'transient'],
  [REFUSAL.ProducerFenced, 'recreate'],
]);

/** The broker said no. Its reason is in `code`, `SMARTPULSE_WIRE_BROKER_…`, and in `number` as it stands on the wire. */
export class BrokerRefusedError extends WireError {
  readonly code: string;

  /**
   * @param request what was asked, `subscribe`.
   * @param number the number on the wire.
   * @param answer what the broker says, its first line.
   * @param details `kind`: instead of what the number usually means; `ambiguous`: it may have been done all the same.
   */
  constructor(
    readonly request: string,
    readonly number: number,
    readonly answer: string,
    details: { readonly kind?: WireErrorKind; readonly ambiguous?: boolean } = {},
  ) {
    const { name, kind: usual } = serverError(number);
    const kind = details.kind ?? OWN_KINDS.get(number) ?? usual;
    super(`The broker refused "${request}" with ${name}: ${firstLine(answer)}.`, {
      kind,
      ambiguous: details.ambiguous,
      remedy: REMEDIES[kind],
    });
    this.code = `SMARTPULSE_WIRE_BROKER_${name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()}`;
  }

  /** Whether `error` is one of these, of that number when one is given. */
  static is(error: unknown, number?: number): error is BrokerRefusedError {
    return error instanceof BrokerRefusedError && (number === undefined || error.number === number);
  }
}

/**
 * Whether an error ends something that was attached before. Its place may still be taken by its own dying registration, and a broker
 * that is full may have room later; a refused token may be renewed.
 */
export function endsAttachment(error: WireError): boolean {
  if (error instanceof BrokerRefusedError) {
    return (
      error.number === REFUSAL.ProducerFenced || (error.kind === 'permanent' && error.number !== REFUSAL.Authentication)
    );
  }
  return error.kind === 'permanent';
}

function firstLine(text: string): string {
  const line = text.split('\n', 1)[0]?.trim() ?? '';
  return (line.length > 300 ? `${line.slice(0, 300)}…` : line).replace(/\.$/, '');
}
