import { Inject, Injectable, type OnModuleInit, Optional } from '@nestjs/common';
import {
  type Attributes,
  createNoopMeter,
  type Histogram,
  type Meter,
  metrics,
  type Observable,
  type ObservableResult,
  type Span,
} from '@opentelemetry/api';
import { PULSAR_OPTIONS, type ResolvedPulsarOptions, TELEMETRY_DEFAULTS } from './pulsar.options.js';
import type { Durations } from './telemetry/durations.js';
import { type BatchSpans, endSpan, MessageSpans } from './telemetry/message-spans.js';
import { messagingAttributes } from './telemetry/message-attributes.js';
import { type ConsumerSeries, consumerSeries, type ProducerSeries, producerSeries, sums } from './telemetry/series.js';
import type { IncomingMessage, OutgoingMessage } from './transport/pulsar.transport.js';

/** Messages handed to a producer, failures included (they carry `error.type`). Semantic conventions for messaging. */
export const SENT_MESSAGES = 'messaging.client.sent.messages';
/** Messages delivered to consumers, each delivery once. */
export const CONSUMED_MESSAGES = 'messaging.client.consumed.messages';
/** Seconds from a call to the broker's answer: of `publish`, and of acknowledgements. */
export const OPERATION_DURATION = 'messaging.client.operation.duration';
/** Seconds that a handler run took. */
export const PROCESS_DURATION = 'messaging.process.duration';
/** Producers that were made. This and all that follow have the names of Pulsar's Java client (PIP-342). */
export const OPENED_PRODUCERS = 'pulsar.client.producer.opened';
/** Producers that were closed. */
export const CLOSED_PRODUCERS = 'pulsar.client.producer.closed';
/** Payload bytes handed to producers. */
export const SENT_BYTES = 'pulsar.client.producer.message.send.size';
/** Publishes that are called and not settled. */
export const PENDING_MESSAGES = 'pulsar.client.producer.message.pending.count';
/** Payload bytes of those. */
export const PENDING_BYTES = 'pulsar.client.producer.message.pending.size';
/** Consumers that were made. */
export const OPENED_CONSUMERS = 'pulsar.client.consumer.opened';
/** Consumers that were closed. */
export const CLOSED_CONSUMERS = 'pulsar.client.consumer.closed';
/** Messages delivered to consumers. */
export const RECEIVED_MESSAGES = 'pulsar.client.consumer.message.received.count';
/** Payload bytes of those. */
export const RECEIVED_BYTES = 'pulsar.client.consumer.message.received.size';
/** Messages acknowledged. */
export const ACKED_MESSAGES = 'pulsar.client.consumer.message.ack';
/** Messages given back to the broker. */
export const NACKED_MESSAGES = 'pulsar.client.consumer.message.nack';
/** Messages whose dead letter was stored. */
export const DEAD_LETTERED_MESSAGES = 'pulsar.client.consumer.message.dlq';

const INSTRUMENTATION = '@smartpulse/pulsar';
const DURATION_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** Destinations counted one by one; topics are configured, not made of data, so this is never reached in earnest. */
const MAX_SERIES = 10_000;

/** A publish that somebody watches. */
export interface WatchedSend {
  /** With the trace context in its properties. */
  readonly message: OutgoingMessage;
  readonly topic: string;
  readonly span: Span | undefined;
  /** Counted and timed in it; nothing while no meter provider is registered. */
  readonly series: ProducerSeries | undefined;
  readonly startMs: number;
}

/** Asks for the time, in milliseconds that never go back. */
type Now = () => number;

/**
 * What this package measures and traces. Instruments exist from module init to close; while no SDK is registered nothing is timed and no
 * span is made.
 */
@Injectable()
export class PulsarTelemetry implements OnModuleInit {
  readonly #spans: MessageSpans;
  readonly #settleSpans: boolean;
  readonly #producers = new Map<string, ProducerSeries>();
  readonly #failures = new Map<string, { readonly attributes: Attributes; count: number }>();
  readonly #consumers = new Map<string, ConsumerSeries>();
  readonly #observed: { observable: Observable; callback: (result: ObservableResult) => void }[] = [];
  #measures = false;
  /** Nobody collects any more. */
  #closed = false;
  #operationDuration: Histogram | undefined;
  #processDuration: Histogram | undefined;

  constructor(@Optional() @Inject(PULSAR_OPTIONS) options?: Pick<ResolvedPulsarOptions, 'telemetry'>) {
    const { continueTrace, settleSpans } = options?.telemetry ?? TELEMETRY_DEFAULTS;
    this.#spans = new MessageSpans(continueTrace);
    this.#settleSpans = settleSpans;
  }

  onModuleInit(): void {
    const meter = metrics.getMeter(INSTRUMENTATION);
    if (meter === createNoopMeter()) {
      return;
    }
    this.#measures = true;
    const advice = { explicitBucketBoundaries: DURATION_BUCKETS_S };
    this.#operationDuration = meter.createHistogram(OPERATION_DURATION, { unit: 's', advice });
    this.#processDuration = meter.createHistogram(PROCESS_DURATION, { unit: 's', advice });
    this.#observe(meter.createObservableCounter(SENT_MESSAGES, { unit: '{message}' }), (result) => {
      for (const durations of this.#durations()) {
        durations.flush();
      }
      for (const { sent, sentAttributes } of this.#producers.values()) {
        result.observe(sent, sentAttributes);
      }
      for (const { count, attributes } of this.#failures.values()) {
        result.observe(count, attributes);
      }
    });
    this.#observe(meter.createObservableCounter(CONSUMED_MESSAGES, { unit: '{message}' }), (result) => {
      for (const { consumed, received } of this.#consumers.values()) {
        result.observe(consumed, received);
      }
    });
    this.#observeProducers(meter);
    this.#observeConsumers(meter);
  }

  /** A publish begins. Nothing when nobody watches: then the message goes as it is. */
  startSend(topic: string, message: OutgoingMessage, nowMs: Now, batch?: BatchSpans): WatchedSend | undefined {
    if (!this.#spans.active) {
      return this.#measures ? this.#watched(topic, message, undefined, nowMs) : undefined;
    }
    const span = this.#spans.startSend(topic, batch);
    const traced = this.#spans.inject(message, span);
    // One of several is created, and sent by the call.
    const sending = batch === undefined ? span : undefined;
    if (batch !== undefined) {
      endSpan(span, undefined);
    }
    return span === undefined && traced === message && !this.#measures
      ? undefined
      : this.#watched(topic, traced, sending, nowMs);
  }

  /** @param errorCode the {@link PulsarError}'s code when the send failed. */
  endSend({ message, topic, span, series, startMs }: WatchedSend, nowMs: Now, errorCode: string | undefined): void {
    endSpan(span, errorCode);
    if (series === undefined) {
      return;
    }
    const { byteLength } = message.payload;
    series.pending--;
    series.pendingBytes -= byteLength;
    const durationMs = nowMs() - startMs;
    if (errorCode === undefined) {
      series.sent++;
      series.sentBytes += byteLength;
      record(series.sendDurations, this.#operationDuration, durationMs, series.sentAttributes);
    } else {
      this.#operationDuration?.record(durationMs / 1_000, this.#failed(topic, errorCode));
    }
  }

  /** A call that sends several messages; nothing without an SDK. */
  startBatch(): BatchSpans | undefined {
    return this.#spans.tracer === undefined ? undefined : { created: [] };
  }

  /** The span of a call that sends several messages, when each is on its way; to be given to {@link endBatch}. */
  startBatchSend(topic: string, batch: BatchSpans | undefined): Span | undefined {
    return batch === undefined || batch.created.length === 0 ? undefined : this.#spans.startBatchSend(topic, batch);
  }

  /** @param errorCode of the first message that failed. */
  endBatch(span: Span | undefined, errorCode: string | undefined): void {
    endSpan(span, errorCode);
  }

  /** A producer was made. */
  producerOpened(topic: string): void {
    this.#producersOf(topic).opened++;
  }

  /** A producer was closed, or could not be. */
  producerClosed(topic: string): void {
    this.#producersOf(topic).closed++;
  }

  /** Counts of a consumer; those of one subscription share them, and a new one goes on where one before it ended. */
  addConsumer(topic: string, subscription: string): ConsumerSeries {
    const name = `${topic}\n${subscription}`;
    let series = this.#consumers.get(name);
    if (series === undefined) {
      const isKept = !this.#closed && this.#consumers.size < MAX_SERIES;
      series = consumerSeries(topic, subscription, isKept ? this.#processDuration : undefined);
      if (isKept) {
        this.#consumers.set(name, series);
      }
    }
    series.opened++;
    return series;
  }

  removeConsumer(series: ConsumerSeries): void {
    series.closed++;
  }

  /** Whether a meter provider is registered. */
  get measures(): boolean {
    return this.#measures;
  }

  /** Whether a handler has to run by {@link process}: there is a span to make, or a context to hand on. */
  get tracesHandlers(): boolean {
    return this.#spans.active;
  }

  /** Counts a handler run that ended and that {@link process} did not see to. */
  processed(series: ConsumerSeries, durationMs: number, failure: { readonly error: unknown } | undefined): void {
    if (failure === undefined) {
      record(series.processDurations, this.#processDuration, durationMs, series.processed);
    } else {
      this.#processDuration?.record(durationMs / 1_000, withError(series.processed, errorTypeOf(failure.error)));
    }
  }

  /** Runs a handler within a span that continues the publisher's trace, or is linked to it. */
  process<T>(
    series: ConsumerSeries,
    topic: string,
    properties: Readonly<Record<string, string>>,
    nowMs: Now,
    run: () => Promise<T>,
  ): Promise<T> {
    return this.#spans.process(topic, series.process, properties, (span) => this.#processed(series, nowMs, span, run));
  }

  /** Runs a handler of several messages within a span that is linked to what created each. */
  processBatch<T>(
    series: ConsumerSeries,
    topic: string,
    messages: readonly Pick<IncomingMessage, 'properties'>[],
    nowMs: Now,
    run: () => Promise<T>,
  ): Promise<T> {
    const properties = this.#spans.tracer === undefined ? [] : messages.map((message) => message.properties);
    return this.#spans.processBatch(topic, series.process, properties, (span) =>
      this.#processed(series, nowMs, span, run),
    );
  }

  /**
   * An acknowledgement is on its way: times it until its receipt, in a span where these are asked for. Those that the transport answers by one promise
   * are one operation: on the wire those of one turn, in the process all.
   */
  acknowledging(
    series: ConsumerSeries,
    message: Pick<IncomingMessage, 'topic' | 'properties'>,
    receipt: Promise<void>,
    nowMs: Now,
  ): void {
    if (this.#settleSpans) {
      const span = this.#spans.startSettle(message.topic, 'ack', series.ack, message.properties);
      this.#timeAcknowledgement(series, receipt, nowMs, span);
    } else if (this.#measures && receipt !== series.receipt) {
      this.#timeAcknowledgement(series, receipt, nowMs, undefined);
    }
  }

  /** A message is given back, which has no answer to wait for. */
  refused(series: ConsumerSeries, { topic, properties }: Pick<IncomingMessage, 'topic' | 'properties'>): void {
    series.nacked++;
    if (this.#settleSpans) {
      endSpan(this.#spans.startSettle(topic, 'nack', series.nack, properties), undefined);
    }
  }

  /** Takes the callbacks away. */
  close(): void {
    this.#closed = true;
    for (const durations of this.#durations()) {
      durations.end();
    }
    for (const { observable, callback } of this.#observed.splice(0)) {
      observable.removeCallback(callback);
    }
    this.#consumers.clear();
    this.#producers.clear();
    this.#failures.clear();
  }

  *#durations(): Iterable<Durations> {
    for (const { sendDurations } of this.#producers.values()) {
      if (sendDurations !== undefined) {
        yield sendDurations;
      }
    }
    for (const { processDurations } of this.#consumers.values()) {
      if (processDurations !== undefined) {
        yield processDurations;
      }
    }
  }

  #timeAcknowledgement(series: ConsumerSeries, receipt: Promise<void>, nowMs: Now, span: Span | undefined): void {
    series.receipt = receipt;
    const startMs = nowMs();
    const settled = (errorType?: string): void => {
      this.#operationDuration?.record((nowMs() - startMs) / 1_000, withError(series.ack, errorType));
      endSpan(span, errorType);
    };
    receipt.then(
      () => settled(),
      (error: unknown) => settled(errorTypeOf(error)),
    );
  }

  async #processed<T>(series: ConsumerSeries, nowMs: Now, span: Span | undefined, run: () => Promise<T>): Promise<T> {
    if (span === undefined && !this.#measures) {
      return run();
    }
    const startMs = nowMs();
    let errorType: string | undefined;
    try {
      return await run();
    } catch (error) {
      errorType = errorTypeOf(error);
      throw error;
    } finally {
      this.#processDuration?.record((nowMs() - startMs) / 1_000, withError(series.processed, errorType));
      endSpan(span, errorType);
    }
  }

  #watched(topic: string, message: OutgoingMessage, span: Span | undefined, nowMs: Now): WatchedSend {
    if (!this.#measures) {
      return { message, topic, span, series: undefined, startMs: 0 };
    }
    const series = this.#producersOf(topic);
    series.pending++;
    series.pendingBytes += message.payload.byteLength;
    return { message, topic, span, series, startMs: nowMs() };
  }

  #producersOf(topic: string): ProducerSeries {
    let series = this.#producers.get(topic);
    if (series === undefined) {
      const isKept = !this.#closed && this.#producers.size < MAX_SERIES;
      series = producerSeries(topic, isKept ? this.#operationDuration : undefined);
      if (isKept) {
        this.#producers.set(topic, series);
      }
    }
    return series;
  }

  #failed(topic: string, errorCode: string): Attributes {
    const name = `${topic}\n${errorCode}`;
    let failure = this.#failures.get(name);
    if (failure === undefined) {
      failure = { attributes: withError(messagingAttributes('send', 'send', topic), errorCode), count: 0 };
      if (this.#failures.size < MAX_SERIES) {
        this.#failures.set(name, failure);
      }
    }
    failure.count++;
    return failure.attributes;
  }

  #observeProducers(meter: Meter): void {
    const counter = (name: string, unit: string, read: (series: ProducerSeries) => number): void =>
      this.#observe(meter.createObservableCounter(name, { unit }), sums(this.#producers, read));
    const level = (name: string, unit: string, read: (series: ProducerSeries) => number): void =>
      this.#observe(meter.createObservableUpDownCounter(name, { unit }), sums(this.#producers, read));
    counter(OPENED_PRODUCERS, '{session}', (series) => series.opened);
    counter(CLOSED_PRODUCERS, '{session}', (series) => series.closed);
    counter(SENT_BYTES, 'By', (series) => series.sentBytes);
    level(PENDING_MESSAGES, '{message}', (series) => series.pending);
    level(PENDING_BYTES, 'By', (series) => series.pendingBytes);
  }

  #observeConsumers(meter: Meter): void {
    const counter = (name: string, unit: string, read: (series: ConsumerSeries) => number): void =>
      this.#observe(meter.createObservableCounter(name, { unit }), sums(this.#consumers, read));
    counter(OPENED_CONSUMERS, '{session}', (series) => series.opened);
    counter(CLOSED_CONSUMERS, '{session}', (series) => series.closed);
    counter(RECEIVED_MESSAGES, '{message}', (series) => series.consumed);
    counter(RECEIVED_BYTES, 'By', (series) => series.receivedBytes);
    counter(ACKED_MESSAGES, '{message}', (series) => series.acked);
    counter(NACKED_MESSAGES, '{message}', (series) => series.nacked);
    counter(DEAD_LETTERED_MESSAGES, '{message}', (series) => series.deadLettered);
  }

  #observe(observable: Observable, callback: (result: ObservableResult) => void): void {
    observable.addCallback(callback);
    this.#observed.push({ observable, callback });
  }
}

/** By the durations of a series, where a collection asks for them. */
function record(
  durations: Durations | undefined,
  histogram: Histogram | undefined,
  durationMs: number,
  attributes: Attributes,
): void {
  if (durations === undefined) {
    histogram?.record(durationMs / 1_000, attributes);
  } else {
    durations.add(durationMs);
  }
}

/** A class of errors, never a text: the code of ours, the name of others. */
function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return typeof error;
  }
  return 'code' in error && typeof error.code === 'string' && error.code.startsWith('SMARTPULSE_')
    ? error.code
    : error.name;
}

function withError(attributes: Attributes, errorType: string | undefined): Attributes {
  return errorType === undefined ? attributes : { ...attributes, 'error.type': errorType };
}
