import {
  type Attributes,
  type Context,
  context,
  type Link,
  propagation,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import type { OutgoingMessage } from '../transport/pulsar.transport.js';
import { messagingAttributes } from './message-attributes.js';

const INSTRUMENTATION = '@smartpulse/pulsar';
type Properties = Readonly<Record<string, string>>;

/** Spans of several messages that are sent by one call: each is created, all are sent. */
export interface BatchSpans {
  readonly created: Link[];
}

/**
 * Spans by the semantic conventions for messaging. Without an SDK no span is made and nothing is allocated for one; the trace context that
 * is active still travels in the messages' properties where a propagator is registered. An SDK that is registered later is found by the
 * next message.
 */
export class MessageSpans {
  readonly #provider: TracerProvider = trace.getTracerProvider();
  readonly #continueTrace: boolean;
  #tracer: Tracer | undefined;

  /** @param continueTrace `true`: what processes a message is a child of what sent it; `false`: linked to it. */
  constructor(continueTrace: boolean) {
    this.#continueTrace = continueTrace;
  }

  /** An SDK's tracer, or nothing while there is none. */
  get tracer(): Tracer | undefined {
    // The provider of the API stands in for the SDK's, and answers nothing while there is none.
    this.#tracer ??=
      this.#provider instanceof ProxyTracerProvider
        ? this.#provider.getDelegateTracer(INSTRUMENTATION)
        : this.#provider.getTracer(INSTRUMENTATION);
    return this.#tracer;
  }

  /** Whether there is a tracer, or a propagator that has something to hand on. */
  get active(): boolean {
    return this.tracer !== undefined || propagation.fields().length > 0;
  }

  /** The span of a message on its way out: `send`, or `create` for one of several that a call sends together. */
  startSend(topic: string, batch: BatchSpans | undefined): Span | undefined {
    const { tracer } = this;
    if (tracer === undefined) {
      return undefined;
    }
    const operation = batch === undefined ? 'send' : 'create';
    const attributes = messagingAttributes(operation, operation, topic);
    const span = tracer.startSpan(`${operation} ${topic}`, { kind: SpanKind.PRODUCER, attributes });
    batch?.created.push({ context: span.spanContext() });
    return span;
  }

  /** The span of a call that sends several messages, linked to the creation of each. */
  startBatchSend(topic: string, { created }: BatchSpans): Span | undefined {
    const attributes = {
      ...messagingAttributes('send', 'send', topic),
      'messaging.batch.message_count': created.length,
    };
    return this.tracer?.startSpan(`send ${topic}`, { kind: SpanKind.CLIENT, attributes, links: created });
  }

  /** The message with the trace context in its properties; the very message where there is none. */
  inject(message: OutgoingMessage, span: Span | undefined): OutgoingMessage {
    const carrier: Record<string, string> = {};
    const active = context.active();
    propagation.inject(span === undefined ? active : trace.setSpan(active, span), carrier);
    for (const _name in carrier) {
      return { ...message, properties: { ...message.properties, ...carrier } };
    }
    return message;
  }

  /** Runs a handler: within a span of its own, in the trace that the message came with. */
  process<T>(topic: string, attributes: Attributes, properties: Properties, run: (span: Span | undefined) => T): T {
    const { tracer } = this;
    const active = context.active();
    const sent = propagation.extract(active, properties);
    if (tracer === undefined) {
      return sent === active ? run(undefined) : context.with(sent, run, undefined, undefined);
    }
    const parent = this.#continueTrace ? sent : active;
    const links = this.#continueTrace ? [] : linksOf([properties]);
    const span = tracer.startSpan(`process ${topic}`, { kind: SpanKind.CONSUMER, attributes, links }, parent);
    return context.with(trace.setSpan(parent, span), run, undefined, span);
  }

  /** Runs a handler of several messages: in one span, linked to what created each. */
  processBatch<T>(
    topic: string,
    attributes: Attributes,
    properties: readonly Properties[],
    run: (span: Span | undefined) => T,
  ): T {
    const { tracer } = this;
    if (tracer === undefined) {
      return run(undefined);
    }
    const span = tracer.startSpan(`process ${topic}`, {
      kind: SpanKind.CONSUMER,
      attributes: { ...attributes, 'messaging.batch.message_count': properties.length },
      links: linksOf(properties),
    });
    return context.with(trace.setSpan(context.active(), span), run, undefined, span);
  }

  /** The span of an acknowledgement or a refusal, linked to what created the message. */
  startSettle(
    topic: string,
    operation: 'ack' | 'nack',
    attributes: Attributes,
    properties: Properties,
  ): Span | undefined {
    return this.tracer?.startSpan(`${operation} ${topic}`, {
      kind: SpanKind.CLIENT,
      attributes,
      links: linksOf([properties]),
    });
  }
}

/** Ends a span, as failed where there is an error type. */
export function endSpan(span: Span | undefined, errorType: string | undefined): void {
  if (errorType !== undefined) {
    span?.setAttribute('error.type', errorType);
    span?.setStatus({ code: SpanStatusCode.ERROR });
  }
  span?.end();
}

function linksOf(properties: readonly Properties[]): Link[] {
  const links: Link[] = [];
  for (const one of properties) {
    const sent: Context = propagation.extract(ROOT_CONTEXT, one);
    const created = trace.getSpanContext(sent);
    if (created !== undefined) {
      links.push({ context: created });
    }
  }
  return links;
}
