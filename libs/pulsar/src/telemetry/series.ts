import type { Attributes, Histogram, ObservableResult } from '@opentelemetry/api';
import { Durations } from './durations.js';
import { messagingAttributes, processAttributes, pulsarAttributes } from './message-attributes.js';

/** Counts of the producers of one topic; plain numbers that the instruments read when they are collected. */
export interface ProducerSeries {
  readonly sentAttributes: Attributes;
  readonly attributes: Attributes;
  /** Of publishes that did not fail, until the next collection; nothing where none would ask for them. */
  readonly sendDurations: Durations | undefined;
  opened: number;
  closed: number;
  sent: number;
  sentBytes: number;
  pending: number;
  pendingBytes: number;
}

/** Counts of the consumers of one subscription; plain numbers that the instruments read when they are collected. */
export interface ConsumerSeries {
  readonly topic: string;
  readonly subscription: string;
  /** Of Pulsar's own instruments. */
  readonly attributes: Attributes;
  readonly received: Attributes;
  /** Of the span of a handler run. */
  readonly process: Attributes;
  /** Of its duration. */
  readonly processed: Attributes;
  /** Of handler runs that did not fail, until the next collection; nothing where none would ask for them. */
  readonly processDurations: Durations | undefined;
  readonly ack: Attributes;
  readonly nack: Attributes;
  /** What the last acknowledgement was answered by. */
  receipt: Promise<void> | undefined;
  opened: number;
  closed: number;
  consumed: number;
  receivedBytes: number;
  acked: number;
  nacked: number;
  deadLettered: number;
}

/** @param durations where collections ask for what is held back of it. */
export function producerSeries(topic: string, durations: Histogram | undefined): ProducerSeries {
  const sentAttributes = messagingAttributes('send', 'send', topic);
  return {
    sentAttributes,
    sendDurations: durations && new Durations(durations, sentAttributes),
    attributes: pulsarAttributes(topic),
    opened: 0,
    closed: 0,
    sent: 0,
    sentBytes: 0,
    pending: 0,
    pendingBytes: 0,
  };
}

/** @param durations where collections ask for what is held back of it. */
export function consumerSeries(topic: string, subscription: string, durations: Histogram | undefined): ConsumerSeries {
  const processed = processAttributes(topic, subscription);
  return {
    topic,
    subscription,
    attributes: pulsarAttributes(topic, subscription),
    received: messagingAttributes('receive', 'receive', topic, subscription),
    process: messagingAttributes('process', 'process', topic, subscription),
    processed,
    processDurations: durations && new Durations(durations, processed),
    ack: messagingAttributes('ack', 'settle', topic, subscription),
    nack: messagingAttributes('nack', 'settle', topic, subscription),
    receipt: undefined,
    opened: 0,
    closed: 0,
    consumed: 0,
    receivedBytes: 0,
    acked: 0,
    nacked: 0,
    deadLettered: 0,
  };
}

/** Observes one sum for all series of the same attributes: of two observations of one collection the second would replace the first. */
export function sums<S extends { readonly attributes: Attributes }>(
  all: ReadonlyMap<string, S>,
  read: (series: S) => number,
): (result: ObservableResult) => void {
  return (result) => {
    const found = new Map<string, { readonly attributes: Attributes; sum: number }>();
    for (const series of all.values()) {
      const name = Object.values(series.attributes).join('\n');
      const one = found.get(name) ?? { attributes: series.attributes, sum: 0 };
      one.sum += read(series);
      found.set(name, one);
    }
    for (const { attributes, sum } of found.values()) {
      result.observe(sum, attributes);
    }
  };
}
