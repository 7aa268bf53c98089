import { Inject, Injectable, Logger } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { DuplicateTrackerError } from '../cdc.errors.js';
import { tableHandlerSchema } from '../cdc.options.js';
import { type FeedEventHandler, ON_FEED_EVENT } from '../decorators/on-feed-event.decorator.js';
import {
  ON_TABLE_CHANGE,
  type OnTableChangeMetadata,
  type SingleChangeHandler,
  type TableChangeHandler,
} from '../decorators/on-table-change.decorator.js';
import type { CdcRegistry } from '../registry/cdc.registry.js';
import { HandlerSink, oneByOne, wholePage } from './handler.sink.js';

/** Finds the `@OnTableChange` methods of an app and makes a tracker of each. */
@Injectable()
export class TableHandlerExplorer {
  readonly #logger = new Logger(TableHandlerExplorer.name);

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {}

  /** @throws ConfigurationError naming the class and method of a handler that cannot be one. */
  explore(registry: CdcRegistry): void {
    const seen = new Set<unknown>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const prototype = prototypeOf(wrapper);
      // An alias, or a second token for the same object, is not a second handler.
      const identity: unknown = wrapper.isDependencyTreeStatic() ? (wrapper.instance as unknown) : wrapper;
      if (prototype === undefined || wrapper.isAlias || seen.has(identity)) {
        continue;
      }
      const followed = new Set<string>();
      for (const name of this.scanner.getAllMethodNames(prototype)) {
        const metadata = this.#handler(prototype, name);
        if (metadata !== undefined) {
          seen.add(identity);
          followed.add(metadata.table);
          this.#track(registry, wrapper, prototype, name, metadata);
        }
      }
      this.#refuseUnheard(prototype, followed);
    }
  }

  #track(
    registry: CdcRegistry,
    wrapper: InstanceWrapper,
    prototype: object,
    name: string,
    { table, options }: OnTableChangeMetadata,
  ): void {
    const owner = `${prototype.constructor.name}.${name}`;
    const decorator = `@OnTableChange on ${owner}`;
    const { consumer = owner, batch, ...tuning } = checkOptions(decorator, tableHandlerSchema, { ...options, table });
    const instance: unknown = wrapper.instance;
    if (!wrapper.isDependencyTreeStatic() || typeof instance !== 'object' || instance === null) {
      throw new ConfigurationError(
        decorator,
        [{ option: '', problem: 'its class is request-scoped or transient, but changes belong to no request' }],
        'Put the handler into a provider of the default scope.',
      );
    }
    const events = this.#eventHandlers(instance, prototype, table);
    const sink = new HandlerSink(
      batch === false ? oneByOne(single(instance, name)) : wholePage(paged(instance, name)),
      events,
    );
    try {
      registry.track({ ...tuning, consumer, table, sink });
    } catch (error) {
      throw DuplicateTrackerError.is(error) ? taken(decorator, consumer, table) : error;
    }
    this.#logger.log(`${owner} follows ${table} as "${consumer}".`);
  }

  #eventHandlers(instance: object, prototype: object, table: string): readonly FeedEventHandler[] {
    return this.scanner
      .getAllMethodNames(prototype)
      .filter((name) => this.#tableOfEvents(prototype, name) === table)
      .map((name) => eventful(instance, name));
  }

  /** A method that would never be called, because of a misspelt table perhaps, is said at start. */
  #refuseUnheard(prototype: object, followed: ReadonlySet<string>): void {
    for (const name of this.scanner.getAllMethodNames(prototype)) {
      const table = this.#tableOfEvents(prototype, name);
      if (table !== undefined && !followed.has(table)) {
        throw new ConfigurationError(
          `@OnFeedEvent on ${prototype.constructor.name}.${name}`,
          [{ option: 'table', problem: 'no @OnTableChange method of this class follows that table' }],
          'Events come with the changes of a handler: put both into one class, for the same table.',
        );
      }
    }
  }

  #handler(prototype: object, name: string): OnTableChangeMetadata | undefined {
    const candidate: unknown = Reflect.get(prototype, name);
    return isFunction(candidate)
      ? this.reflector.get<OnTableChangeMetadata | undefined, symbol>(ON_TABLE_CHANGE, candidate)
      : undefined;
  }

  #tableOfEvents(prototype: object, name: string): string | undefined {
    const candidate: unknown = Reflect.get(prototype, name);
    return isFunction(candidate) ? this.reflector.get<string | undefined, symbol>(ON_FEED_EVENT, candidate) : undefined;
  }
}

/** Of an instance where Nest has no class to show (`useValue`, `useFactory`). */
function prototypeOf(wrapper: InstanceWrapper): object | undefined {
  const metatype: unknown = wrapper.metatype;
  if (!wrapper.isNotMetatype && typeof metatype === 'function') {
    return objectOrNothing(metatype.prototype);
  }
  const instance: unknown = wrapper.isDependencyTreeStatic() ? wrapper.instance : undefined;
  const prototype = objectOrNothing(instance) === undefined ? undefined : Object.getPrototypeOf(instance);
  return prototype === Object.prototype ? undefined : objectOrNothing(prototype);
}

function objectOrNothing(value: unknown): object | undefined {
  return typeof value === 'object' && value !== null ? value : undefined;
}

function taken(decorator: string, consumer: string, table: string): ConfigurationError {
  return new ConfigurationError(
    decorator,
    [{ option: 'consumer', problem: `"${consumer}" follows "${table}" already` }],
    'Provide the class in one module only, or give each handler a consumer name of its own.',
  );
}

type AnyFunction = (...args: unknown[]) => unknown;

function isFunction(value: unknown): value is AnyFunction {
  return typeof value === 'function';
}

// The decorators' types have checked the methods' shapes. They are looked up when called, so that a wrapper that another library puts on
// the instance later counts.

function paged(instance: object, name: string): TableChangeHandler {
  const isHandler = (value: unknown): value is TableChangeHandler => isFunction(value);
  return (changes, handOff) => bound(instance, name, isHandler)(changes, handOff);
}

function single(instance: object, name: string): SingleChangeHandler {
  const isHandler = (value: unknown): value is SingleChangeHandler => isFunction(value);
  return (change, handOff) => bound(instance, name, isHandler)(change, handOff);
}

function eventful(instance: object, name: string): FeedEventHandler {
  const isHandler = (value: unknown): value is FeedEventHandler => isFunction(value);
  return (event, handOff) => bound(instance, name, isHandler)(event, handOff);
}

function bound<T>(instance: object, name: string, isHandler: (value: unknown) => value is T): T {
  const method: unknown = Reflect.get(instance, name);
  const handler: unknown = isFunction(method) ? method.bind(instance) : method;
  if (!isHandler(handler)) {
    throw new TypeError(`"${name}" is no method any more.`);
  }
  return handler;
}
