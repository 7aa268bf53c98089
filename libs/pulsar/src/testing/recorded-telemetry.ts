import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Attributes,
  type Context,
  context,
  type ContextManager,
  createNoopMeter,
  type Link,
  type Meter,
  metrics,
  type ObservableCallback,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  trace,
  TraceFlags,
  type Tracer,
} from '@opentelemetry/api';

/** A span as it was when it ended, or is while it has not. */
export interface RecordedSpan {
  readonly name: string;
  readonly kind: string;
  readonly attributes: Attributes;
  /** The name of the span that it is a child of. */
  readonly parent: string | undefined;
  /** The names of the spans that it is linked to. */
  readonly links: readonly string[];
  failed: boolean;
  ended: boolean;
}

/** An SDK in memory: what is traced and measured can be read; {@link RecordedTelemetry.uninstall} takes it away. */
export class RecordedTelemetry {
  readonly #spans: RecordedSpan[] = [];
  readonly #names = new Map<string, string>();
  readonly #observables: { readonly name: string; readonly callbacks: Set<ObservableCallback> }[] = [];
  readonly #records: { readonly name: string; readonly seconds: number; readonly attributes: Attributes }[] = [];

  /** Spans in the order in which they began. */
  get spans(): readonly RecordedSpan[] {
    return this.#spans;
  }

  /** What histograms were given. */
  get records(): readonly { readonly name: string; readonly seconds: number; readonly attributes: Attributes }[] {
    return this.#records;
  }

  /** Callbacks that are registered. */
  get callbacks(): number {
    return this.#observables.reduce((sum, { callbacks }) => sum + callbacks.size, 0);
  }

  install(): this {
    context.setGlobalContextManager(new StoredContext());
    propagation.setGlobalPropagator(TRACEPARENT);
    trace.setGlobalTracerProvider({ getTracer: () => this.#tracer() });
    metrics.setGlobalMeterProvider({ getMeter: () => this.#meter() });
    return this;
  }

  uninstall(): void {
    trace.disable();
    metrics.disable();
    propagation.disable();
    context.disable();
  }

  /** What an observable says now: one line for each series, as attributes and value. A series that is told twice is an error. */
  async observed(name: string): Promise<readonly (readonly [Attributes, number])[]> {
    const series = new Map<string, readonly [Attributes, number]>();
    for (const observable of this.#observables.filter((one) => one.name === name)) {
      for (const callback of observable.callbacks) {
        await callback({
          observe: (value, attributes = {}) => {
            const text = JSON.stringify(
              attributes,
              Object.keys(attributes).toSorted((a, b) => (a < b ? -1 : 1)),
            );
            if (series.has(text)) {
              throw new Error(`${name} tells ${text} twice: an SDK keeps the last.`);
            }
            series.set(text, [attributes, value]);
          },
        });
      }
    }
    return [...series.values()];
  }

  #tracer(): Tracer {
    const start: Tracer['startSpan'] = (name, options = {}, parent = context.active()) => {
      const owner = trace.getSpanContext(parent);
      const id = String(this.#names.size + 1).padStart(16, '0');
      const recorded: RecordedSpan = {
        name,
        kind: SpanKind[options.kind ?? SpanKind.INTERNAL],
        attributes: { ...options.attributes },
        parent: owner === undefined ? undefined : this.#names.get(owner.spanId),
        links: (options.links ?? []).map((link: Link) => this.#names.get(link.context.spanId) ?? 'unknown'),
        failed: false,
        ended: false,
      };
      this.#names.set(id, name);
      this.#spans.push(recorded);
      return spanOf(recorded, {
        traceId: owner?.traceId ?? id.padStart(32, '0'),
        spanId: id,
        traceFlags: TraceFlags.SAMPLED,
      });
    };
    return {
      startSpan: start,
      startActiveSpan: () => {
        throw new Error('Not used here.');
      },
    };
  }

  #meter(): Meter {
    const noop = createNoopMeter();
    const observable = (name: string) => {
      const callbacks = new Set<ObservableCallback>();
      this.#observables.push({ name, callbacks });
      return {
        addCallback: (callback: ObservableCallback) => void callbacks.add(callback),
        removeCallback: (callback: ObservableCallback) => void callbacks.delete(callback),
      };
    };
    return {
      createGauge: (name) => noop.createGauge(name),
      createCounter: (name) => noop.createCounter(name),
      createUpDownCounter: (name) => noop.createUpDownCounter(name),
      createHistogram: (name) => ({
        record: (seconds, attributes) => void this.#records.push({ name, seconds, attributes: { ...attributes } }),
      }),
      createObservableGauge: observable,
      createObservableCounter: observable,
      createObservableUpDownCounter: observable,
      addBatchObservableCallback: () => undefined,
      removeBatchObservableCallback: () => undefined,
    };
  }
}

function spanOf(recorded: RecordedSpan, spanContext: SpanContext): Span {
  const attributes: Record<string, unknown> = recorded.attributes;
  const span: Span = {
    spanContext: () => spanContext,
    setAttribute: (name, value) => {
      attributes[name] = value;
      return span;
    },
    setAttributes: () => span,
    addEvent: () => span,
    addLink: () => span,
    addLinks: () => span,
    setStatus: ({ code }) => {
      recorded.failed = code === SpanStatusCode.ERROR;
      return span;
    },
    updateName: () => span,
    end: () => {
      recorded.ended = true;
    },
    isRecording: () => !recorded.ended,
    recordException: () => undefined,
  };
  return span;
}

class StoredContext implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    run: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => run.apply(thisArg, args));
  }

  bind<T>(_active: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#storage.disable();
    return this;
  }
}

const TRACEPARENT: TextMapPropagator = {
  inject: (active, carrier, setter) => {
    const span = trace.getSpanContext(active);
    if (span !== undefined) {
      setter.set(carrier, 'traceparent', `00-${span.traceId}-${span.spanId}-01`);
    }
  },
  extract: (active, carrier, getter) => {
    const [, traceId, spanId] = String(getter.get(carrier, 'traceparent') ?? '').split('-');
    return traceId === undefined || spanId === undefined
      ? active
      : trace.setSpanContext(active, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
  },
  fields: () => ['traceparent'],
};
