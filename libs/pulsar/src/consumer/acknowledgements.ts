import type { Clock } from '@smartpulse/resilience';
import { PulsarError } from '../pulsar.errors.js';
import type { PulsarTelemetry } from '../pulsar.telemetry.js';
import type { ConsumerSeries } from '../telemetry/series.js';
import type { SettleLater, SettlementCounts, TakenMessage } from './message-settler.js';
import type { SubscriptionLinks } from './subscription-links.js';

/** What {@link Acknowledgements} are made of. */
export interface AcknowledgementsOptions {
  readonly links: SubscriptionLinks;
  readonly counts: SettlementCounts;
  readonly telemetry: PulsarTelemetry;
  readonly series: ConsumerSeries;
  readonly clock: Clock;
  /** The wait before an acknowledgement that failed so often is tried again. */
  readonly delayMs: (failures: number) => number;
  readonly onFailed: (sentence: string, error: unknown) => void;
  /** Told of each message whose place is free. */
  readonly onReleased: (taken: TakenMessage) => void;
}

/** Messages whose acknowledgements the transport answers by one promise. */
interface ReceiptGroup {
  readonly receipt: Promise<void>;
  readonly messages: TakenMessage[];
  settled: Promise<SettleLater | void>;
}

/** Acknowledgements that fail so often are left: the message comes again. */
const MAX_ACK_FAILURES = 10;

/**
 * Acknowledges messages that are handled. Those that the transport answers by one promise (on the wire those of one turn) are settled together: a message
 * then costs no promise of its own.
 */
export class Acknowledgements {
  readonly #options: AcknowledgementsOptions;
  readonly #nowMs = (): number => this.#options.clock.monotonic();
  #open: ReceiptGroup | undefined;

  constructor(options: AcknowledgementsOptions) {
    this.#options = options;
  }

  /** Resolves when the broker has it, with nothing; while the broker cannot take it, with the time after which to try again. */
  ack(taken: TakenMessage): Promise<SettleLater | void> {
    const { series, telemetry } = this.#options;
    const receipt = receiptOf(taken);
    telemetry.acknowledging(series, taken.message, receipt, this.#nowMs);
    // Only first attempts have an answer in common: the others have failed more or less often.
    const isFirst = taken.ackFailures === 0;
    const open = this.#open;
    if (isFirst && open?.receipt === receipt) {
      open.messages.push(taken);
      return open.settled;
    }
    const group: ReceiptGroup = { receipt, messages: [taken], settled: receipt };
    group.settled = receipt.then(
      () => this.#acknowledged(group),
      (error: unknown) => this.#refused(group, error),
    );
    if (isFirst) {
      this.#open = group;
    }
    return group.settled;
  }

  #acknowledged(group: ReceiptGroup): void {
    const { counts, onReleased, series } = this.#options;
    const { messages } = this.#closed(group);
    counts.acked += messages.length;
    series.acked += messages.length;
    for (const taken of messages) {
      onReleased(taken);
    }
  }

  #refused(group: ReceiptGroup, error: unknown): SettleLater | void {
    const { counts, delayMs, links, onFailed, onReleased } = this.#options;
    const { messages } = this.#closed(group);
    const known = PulsarError.is(error) ? error : undefined;
    const isPassing = known?.kind === 'transient' || known?.kind === 'backpressure';
    // The same for all of a group.
    let failures = 0;
    for (const taken of messages) {
      failures = ++taken.ackFailures;
    }
    if (isPassing && failures < MAX_ACK_FAILURES && links.open) {
      return { retryAfterMs: delayMs(failures) };
    }
    counts.unsettled += messages.length;
    onFailed(
      messages.length === 1
        ? 'An acknowledgement failed, the message will come again'
        : `${messages.length} acknowledgements failed, the messages will come again`,
      error,
    );
    messages.forEach(onReleased);
  }

  /** Takes nobody in any more: a transport may give the same promise for ever. */
  #closed(group: ReceiptGroup): ReceiptGroup {
    if (this.#open === group) {
      this.#open = undefined;
    }
    return group;
  }
}

/** A transport that throws instead of rejecting has not acknowledged either. */
function receiptOf({ from, message }: TakenMessage): Promise<void> {
  try {
    return from.transport.ack(message.id);
  } catch (error) {
    return Promise.reject(PulsarError.from(error, message.topic));
  }
}
