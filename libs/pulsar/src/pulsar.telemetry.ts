import { Injectable, type OnModuleInit } from '@nestjs/common';
import {
  type Attributes,
  context,
  type Histogram,
  metrics,
  type ObservableCounter,
  type ObservableResult,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';

/** Messages handed to a producer, failures included (they carry `error.type`). Semantic conventions for messaging. */
export const SENT_MESSAGES = 'messaging.client.sent.messages';
/** Messages delivered to consumers, each delivery once. */
export const CONSUMED_MESSAGES = 'messaging.client.consumed.messages';
/** Seconds from the call of `publish` to the broker's answer. */
export const OPERATION_DURATION = 'messaging.client.operation.duration';
/** Seconds that a handler run took. */
export const PROCESS_DURATION = 'messaging.process.duration';
/** Messages whose dead letter was stored. */
export const DEAD_LETTERED_MESSAGES = 'pulsar.client.consumer.message.dlq';
/** Messages given back to the broker. */
export const NACKED_MESSAGES = 'pulsar.client.consumer.message.nack';

const INSTRUMENTATION = '@smartpulse/pulsar';
const DURATION_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** Destinations counted one by one; topics are configured, not made of data, so this is never reached in earnest. */
const MAX_SERIES = 10_000;

interface Series {
  readonly attributes: Attributes;
  count: number;
}

/** Counts of one consumer; plain numbers that the instruments read when they are collected. */
export interface ConsumerSeries {
  readonly attributes: Attributes;
  readonly process: Attributes;
  consumed: number;
  deadLettered: number;
  nacked: number;
}

/** What this package measures and traces. Instruments exist from module init to close. */
@Injectable()
export class PulsarTelemetry implements OnModuleInit {
  readonly #sent = new Map<string, Series>();
  readonly #consumers = new Set<ConsumerSeries>();
  readonly #observed: { counter: ObservableCounter; callback: (result: ObservableResult) => void }[] = [];
  #tracer: Tracer = trace.getTracer(INSTRUMENTATION);
  #operationDuration: Histogram | undefined;
  #processDuration: Histogram | undefined;

  onModuleInit(): void {
    this.#tracer = trace.getTracer(INSTRUMENTATION);
    const meter = metrics.getMeter(INSTRUMENTATION);
    const advice = { explicitBucketBoundaries: DURATION_BUCKETS_S };
    this.#operationDuration = meter.createHistogram(OPERATION_DURATION, { unit: 's', advice });
    this.#processDuration = meter.createHistogram(PROCESS_DURATION, { unit: 's', advice });
    this.#observe(meter.createObservableCounter(SENT_MESSAGES, { unit: '{message}' }), (result) => {
      for (const { count, attributes } of this.#sent.values()) {
        result.observe(count, attributes);
      }
    });
    this.#observeConsumers(CONSUMED_MESSAGES, (series) => series.consumed);
    this.#observeConsumers(DEAD_LETTERED_MESSAGES, (series) => series.deadLettered);
    this.#observeConsumers(NACKED_MESSAGES, (series) => series.nacked);
  }

  /** A span for a publish; its context is written into the message's properties. */
  startSend(topic: string): { span: Span; carrier: Record<string, string> } {
    const span = this.#tracer.startSpan(`send ${topic}`, {
      kind: SpanKind.PRODUCER,
      attributes: destination('send', topic),
    });
    const carrier: Record<string, string> = {};
    propagation.inject(trace.setSpan(context.active(), span), carrier);
    return { span, carrier };
  }

  /** @param errorCode the {@link PulsarError}'s code when the send failed. */
  endSend(span: Span, topic: string, durationMs: number, errorCode: string | undefined): void {
    const name = errorCode === undefined ? topic : `${topic}\n${errorCode}`;
    let series = this.#sent.get(name);
    if (series === undefined && this.#sent.size < MAX_SERIES) {
      const failure = errorCode === undefined ? {} : { 'error.type': errorCode };
      series = { attributes: { ...destination('send', topic), ...failure }, count: 0 };
      this.#sent.set(name, series);
    }
    if (series !== undefined) {
      series.count++;
      this.#operationDuration?.record(durationMs / 1_000, series.attributes);
    }
    endSpan(span, errorCode);
  }

  /** Counts of a new consumer. */
  addConsumer(topic: string, subscription: string): ConsumerSeries {
    const of = (operation: string): Attributes => ({
      ...destination(operation, topic),
      'messaging.destination.subscription.name': subscription,
    });
    const series = { attributes: of('receive'), process: of('process'), consumed: 0, deadLettered: 0, nacked: 0 };
    this.#consumers.add(series);
    return series;
  }

  removeConsumer(series: ConsumerSeries): void {
    this.#consumers.delete(series);
  }

  /** Runs a handler within a span that continues the publisher's trace. */
  async process<T>(
    series: ConsumerSeries,
    topic: string,
    properties: Readonly<Record<string, string>>,
    nowMs: () => number,
    run: () => Promise<T>,
  ): Promise<T> {
    const parent = propagation.extract(context.active(), properties);
    const options = { kind: SpanKind.CONSUMER, attributes: series.process };
    const span = this.#tracer.startSpan(`process ${topic}`, options, parent);
    const startMs = nowMs();
    let errorName: string | undefined;
    try {
      return await context.with(trace.setSpan(parent, span), run);
    } catch (error) {
      errorName = error instanceof Error ? error.name : typeof error;
      throw error;
    } finally {
      const attributes = errorName === undefined ? series.process : { ...series.process, 'error.type': errorName };
      this.#processDuration?.record((nowMs() - startMs) / 1_000, attributes);
      endSpan(span, errorName);
    }
  }

  /** Takes the callbacks away. */
  close(): void {
    for (const { counter, callback } of this.#observed.splice(0)) {
      counter.removeCallback(callback);
    }
    this.#consumers.clear();
    this.#sent.clear();
  }

  #observeConsumers(name: string, read: (series: ConsumerSeries) => number): void {
    this.#observe(metrics.getMeter(INSTRUMENTATION).createObservableCounter(name, { unit: '{message}' }), (result) => {
      for (const series of this.#consumers) {
        result.observe(read(series), series.attributes);
      }
    });
  }

  #observe(counter: ObservableCounter, callback: (result: ObservableResult) => void): void {
    counter.addCallback(callback);
    this.#observed.push({ counter, callback });
  }
}

function destination(operation: string, topic: string): Attributes {
  return {
    'messaging.system': 'pulsar',
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    'messaging.destination.name': topic,
  };
}

function endSpan(span: Span, errorType: string | undefined): void {
  if (errorType !== undefined) {
    span.setAttribute('error.type', errorType);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}
