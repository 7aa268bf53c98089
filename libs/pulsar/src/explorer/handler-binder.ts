import { Injectable, Inject } from '@nestjs/common';
import { ApplicationConfig, ContextIdFactory, ExternalContextCreator, ModuleRef, NestContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { PulsarBatchContext } from '../consumer/batch/batch-options.js';
import { PULSAR_CONTEXT_TYPE, type PulsarContext } from '../consumer/pulsar-context.js';
import type { Settlement } from '../consumer/settlement.js';
import { ParameterKind, PULSAR_ARGS_METADATA } from '../decorators/handler-parameters.js';
import { PULSAR_OPTIONS, type ResolvedPulsarOptions } from '../pulsar.options.js';

/** Nest's metadata key of `@UseFilters`. */
const FILTERS_METADATA = '__exceptionFilters__';

type Host = Record<string, (...parameters: unknown[]) => unknown>;
/** A handler of one message or, given a {@link PulsarBatchContext}, of many. */
export type BoundHandler = (
  payload: unknown,
  context: PulsarContext | PulsarBatchContext,
) => Promise<Settlement | void>;

/**
 * Turns a method into a handler that runs through Nest's own machinery: guards, interceptors, pipes, filters, request scope.
 */
@Injectable()
export class HandlerBinder {
  readonly #creator: ExternalContextCreator;
  readonly #moduleRef: ModuleRef;

  constructor(
    @Inject(ExternalContextCreator) creator: ExternalContextCreator,
    @Inject(ModuleRef) moduleRef: ModuleRef,
    @Inject(PULSAR_OPTIONS) options: ResolvedPulsarOptions,
  ) {
    this.#creator = isolatedCreator(creator, options.applyGlobalEnhancers);
    this.#moduleRef = moduleRef;
  }

  /** The handler of a method of a provider or controller; one instance per message, or per batch, where its scope asks for it. */
  bind(wrapper: InstanceWrapper, method: string): BoundHandler {
    const creator = this.#creatorFor(wrapper);
    if (wrapper.isDependencyTreeStatic() && !wrapper.isTransient) {
      return runOf(creator, wrapper.instance as Host, method, wrapper.id);
    }
    const moduleRef = moduleRefOf(wrapper) ?? this.#moduleRef;
    return async (payload, context) => {
      const contextId = ContextIdFactory.create();
      moduleRef.registerRequestByContextId(context, contextId);
      const instance = await moduleRef.resolve<Host>(wrapper.token as never, contextId, { strict: false });
      return runOf(creator, instance, method, wrapper.id, contextId)(payload, context);
    };
  }

  /**
   * A creator that looks for enhancers in the handler's own module (Nest finds the modules of providers only, and would leave out a
   * controller's guards) and keeps the method's pipes away from what is not the payload.
   */
  #creatorFor(wrapper: InstanceWrapper): ExternalContextCreator {
    const base = this.#creator;
    const moduleKey = wrapper.host?.token ?? '';
    const createPipesFn: ExternalContextCreator['createPipesFn'] = (pipes, parameters) => {
      const contextual = parameters.filter(
        ({ type }) => type === ParameterKind.context || type === ParameterKind.properties,
      );
      const others = parameters.filter((parameter) => !contextual.includes(parameter));
      const steps = [base.createPipesFn(pipes, others), base.createPipesFn([], contextual)].filter(
        (step) => step !== null,
      );
      return steps.length === 0
        ? null
        : async (args, ...given) => {
            await Promise.all(steps.map((step) => step(args, ...given)));
          };
    };
    return Object.create(base, {
      getContextModuleKey: { value: () => moduleKey },
      createPipesFn: { value: createPipesFn },
      externalErrorProxy: { value: answeringFilters(Reflect.get(base, 'externalErrorProxy')) },
    }) as ExternalContextCreator;
  }
}

interface FilterMetadata {
  readonly func: (error: unknown, host: unknown) => unknown;
}

interface ExceptionsHandler {
  readonly filters: readonly FilterMetadata[];
  setCustomFilters(filters: readonly FilterMetadata[]): void;
}

type CreateProxy = (target: unknown, handler: ExceptionsHandler, type: string) => unknown;

/** Nest takes a filter that answers `undefined` for one that did not handle the error. Here every answer means handled, a throw not. */
function answeringFilters(proxy: { readonly createProxy: CreateProxy }): { readonly createProxy: CreateProxy } {
  return {
    createProxy: (target, handler, type) => {
      const answering = handler.filters.map((filter) => ({
        ...filter,
        func: async (error: unknown, host: unknown) => filter.func(error, host),
      }));
      handler.setCustomFilters(answering);
      return proxy.createProxy(target, handler, type);
    },
  };
}

function runOf(
  creator: ExternalContextCreator,
  instance: Host,
  method: string,
  hostId: string,
  contextId?: ReturnType<typeof ContextIdFactory.create>,
): BoundHandler {
  const callback = instance[method];
  if (callback === undefined) {
    throw new TypeError(`${instance.constructor.name} has no method ${method}.`);
  }
  const run: (...parameters: unknown[]) => Promise<unknown> = creator.create(
    instance,
    callback,
    method,
    PULSAR_ARGS_METADATA,
    { exchangeKeyForValue: valueOf },
    contextId,
    hostId,
    // Without filters of its own an error goes straight to the runner; Nest's default filter would log every retry with its stack.
    { guards: true, interceptors: true, filters: hasFilters(instance, callback) },
    PULSAR_CONTEXT_TYPE,
  );
  return (payload, context) => run(payload, context) as Promise<Settlement | void>;
}

function valueOf(type: number, data: unknown, parameters: unknown): unknown {
  const [payload, context] = parameters as Parameters<BoundHandler>;
  const field = typeof data === 'string' ? data : undefined;
  const isBatch = 'messages' in context;
  switch (type) {
    case ParameterKind.payload:
      return isBatch && Array.isArray(payload) ? payload.map((one) => part(one, field)) : part(payload, field);
    case ParameterKind.properties:
      return isBatch
        ? context.messages.map(({ properties }) => part(properties, field))
        : part(context.properties, field);
    case ParameterKind.context:
      return context;
    default:
      return undefined;
  }
}

function part(value: unknown, field: string | undefined): unknown {
  if (field === undefined) {
    return value;
  }
  return typeof value === 'object' && value !== null && Object.hasOwn(value, field)
    ? (value as Record<string, unknown>)[field]
    : undefined;
}

/** Only filters of the handler and its class: one that answers has handled the message. */
function hasFilters(instance: object, callback: object): boolean {
  return Reflect.hasMetadata(FILTERS_METADATA, callback) || Reflect.hasMetadata(FILTERS_METADATA, instance.constructor);
}

/**
 * Nest's creator over the same container with another application config: without global enhancers, or without global filters only.
 * A global guard made for HTTP would refuse every message, and a global filter that answers would make failures look handled.
 */
function isolatedCreator(creator: ExternalContextCreator, applyGlobalEnhancers: boolean): ExternalContextCreator {
  const container: unknown = Reflect.get(creator, 'container');
  if (!(container instanceof NestContainer)) {
    throw new TypeError('This version of @nestjs/core keeps its container elsewhere: handlers cannot be isolated.');
  }
  const config = applyGlobalEnhancers
    ? (Object.create(container.applicationConfig ?? null, {
        getGlobalFilters: { value: () => [] },
        getGlobalRequestFilters: { value: () => [] },
      }) as ApplicationConfig)
    : new ApplicationConfig();
  const isolated = Object.create(container, { applicationConfig: { value: config } }) as NestContainer;
  return ExternalContextCreator.fromContainer(isolated);
}

/** The reference of the module that hosts the handler, so that two modules with the same class get their own instances. */
function moduleRefOf(wrapper: InstanceWrapper): ModuleRef | undefined {
  const host: unknown = wrapper.host?.providers.get(ModuleRef)?.instance;
  return host instanceof ModuleRef ? host : undefined;
}
