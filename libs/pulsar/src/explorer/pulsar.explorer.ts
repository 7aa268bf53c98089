import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { BatchConsumerOptions } from '../consumer/batch/batch-options.js';
import type { ConsumerOptions } from '../consumer/consumer-options.js';
import { PulsarConsumers, type Registration } from '../consumer/pulsar.consumers.js';
import {
  isPattern,
  type PatternConsumerOptions,
  type PatternRegistration,
} from '../consumer/pattern/pattern-options.js';
import { subscriptionsOf } from '../decorators/pulsar-subscribe.decorator.js';
import { perTopic } from '../decorators/topics.js';
import { HandlerBinder } from './handler-binder.js';
import { handlerTable } from './handler-table.js';

interface FoundHandler {
  readonly wrapper: InstanceWrapper;
  readonly method: string;
  readonly name: string;
  readonly options: ConsumerOptions<unknown> | BatchConsumerOptions<unknown> | PatternConsumerOptions;
}

/** Finds the methods decorated with `@PulsarSubscribe` in every provider and controller, and subscribes them at bootstrap. */
@Injectable()
export class PulsarExplorer implements OnApplicationBootstrap {
  readonly #logger = new Logger('PulsarModule');
  readonly #discovery: DiscoveryService;
  readonly #scanner: MetadataScanner;
  readonly #binder: HandlerBinder;
  readonly #consumers: PulsarConsumers;

  constructor(
    @Inject(DiscoveryService) discovery: DiscoveryService,
    @Inject(MetadataScanner) scanner: MetadataScanner,
    @Inject(HandlerBinder) binder: HandlerBinder,
    @Inject(PulsarConsumers) consumers: PulsarConsumers,
  ) {
    this.#discovery = discovery;
    this.#scanner = scanner;
    this.#binder = binder;
    this.#consumers = consumers;
  }

  async onApplicationBootstrap(): Promise<void> {
    try {
      await Promise.all(
        this.#find().map(({ wrapper, method, name, options }) => {
          const owner = `@PulsarSubscribe on ${name}`;
          const handler = this.#binder.bind(wrapper, method);
          return isPattern(options)
            ? this.#consumers.registerPatternNamed(owner, name, ...([options, handler] as PatternRegistration<unknown>))
            : this.#consumers.registerNamed(owner, name, ...([options, handler] as Registration<unknown>));
        }),
      );
      this.#consumers.completed();
    } catch (error) {
      this.#consumers.completed(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
    const consumers = this.#consumers.all;
    if (consumers.length > 0) {
      this.#logger.log(`Handlers:\n${handlerTable(consumers)}`);
    }
  }

  #find(): FoundHandler[] {
    const seen = new Set<unknown>();
    const found: FoundHandler[] = [];
    for (const wrapper of [...this.#discovery.getProviders(), ...this.#discovery.getControllers()]) {
      const prototype = prototypeOf(wrapper);
      // An alias, or a second token for the same object, is not a second handler.
      const identity: unknown = wrapper.isDependencyTreeStatic() ? (wrapper.instance as unknown) : wrapper;
      if (prototype === undefined || wrapper.isAlias || seen.has(identity)) {
        continue;
      }
      for (const method of this.#scanner.getAllMethodNames(prototype)) {
        const callback: unknown = Reflect.get(prototype, method);
        const subscriptions = typeof callback === 'function' ? subscriptionsOf(callback) : [];
        if (subscriptions.length > 0) {
          seen.add(identity);
        }
        const name = `${prototype.constructor.name}.${method}`;
        const each = subscriptions.flatMap((options): readonly FoundHandler['options'][] =>
          isPattern(options) ? [options] : perTopic(`@PulsarSubscribe on ${name}`, options),
        );
        found.push(...each.map((options) => ({ wrapper, method, name, options })));
      }
    }
    return found;
  }
}

function prototypeOf(wrapper: InstanceWrapper): object | undefined {
  const metatype: unknown = wrapper.metatype;
  if (!wrapper.isNotMetatype && typeof metatype === 'function') {
    const prototype: unknown = metatype.prototype;
    return typeof prototype === 'object' && prototype !== null ? prototype : undefined;
  }
  const instance: unknown = wrapper.isDependencyTreeStatic() ? wrapper.instance : undefined;
  const prototype: unknown = typeof instance === 'object' && instance !== null ? Object.getPrototypeOf(instance) : null;
  return typeof prototype === 'object' && prototype !== null && prototype !== Object.prototype ? prototype : undefined;
}
