import { Inject, Injectable, Logger } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { PulsarConsumers } from '@smartpulse/pulsar';
import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { DataSyncSettings, onChangeOptionsSchema } from '../data-sync.options.js';
import { type HandlerMark, handlerMarks } from '../decorators/handler-mark.js';
import { envelopeCodec } from '../envelope/envelope.pulsar.codec.js';
import { DistributedDataSyncService } from '../supervise/distributed-data-sync.service.js';
import { isOutage } from '../supervise/outage.js';
import { FeedSubscription, SyncActivity } from '../supervise/sync.activity.js';
import { ChangeFeed } from './change-feed.js';

type AnyMethod = (argument: unknown) => unknown;

interface FoundHandler {
  /** `Class.method`, for errors and the log. */
  readonly owner: string;
  readonly mark: HandlerMark;
  call(argument: unknown): Promise<void>;
}

type ChangeHandler = FoundHandler & { readonly mark: Extract<HandlerMark, { kind: 'change' }> };

/** Finds the `@OnChange` and `@OnResync` methods of an app and subscribes them. */
@Injectable()
export class ChangeHandlerExplorer {
  readonly #logger = new Logger(ChangeHandlerExplorer.name);

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(PulsarConsumers) private readonly consumers: PulsarConsumers,
    @Inject(DataSyncSettings) private readonly settings: DataSyncSettings,
    @Inject(SyncActivity) private readonly activity: SyncActivity,
    @Inject(DistributedDataSyncService) private readonly service: DistributedDataSyncService,
  ) {}

  /** @throws ConfigurationError naming the class and method of a handler that cannot be one. */
  explore(): void {
    const found = this.#find();
    const changes = found.filter((handler): handler is ChangeHandler => handler.mark.kind === 'change');
    const taken = new Map<string, string>();
    for (const { owner, mark } of changes) {
      checkOptions(`@OnChange on ${owner}`, onChangeOptionsSchema, mark.options);
      if (mark.options.subscription === 'apply') {
        throw new ConfigurationError(`@OnChange on ${owner}`, [
          { option: 'subscription', problem: '"apply" is the name of the subscription that keeps the caches right' },
        ]);
      }
      const feed = feedOf(mark);
      const other = taken.get(feed);
      if (other !== undefined) {
        throw new ConfigurationError(`@OnChange on ${owner}`, [
          {
            option: 'subscription',
            problem: `"${mark.options.subscription}" belongs to ${other} already: each of the two would get half of the changes`,
          },
        ]);
      }
      taken.set(feed, owner);
    }
    const resyncs = found.filter(({ mark }) => mark.kind === 'resync');
    for (const { owner, mark } of resyncs) {
      if (!taken.has(feedOf(mark))) {
        throw new ConfigurationError(`@OnResync on ${owner}`, [
          {
            option: 'subscription',
            problem: `no @OnChange method of "${mark.contract.name}" has the subscription "${mark.options.subscription}"`,
          },
        ]);
      }
    }
    for (const handler of changes) {
      const own = resyncs.filter(({ mark }) => feedOf(mark) === feedOf(handler.mark));
      this.#subscribe(handler, own);
    }
  }

  #subscribe(handler: ChangeHandler, resyncs: readonly FoundHandler[]): void {
    const { contract, options } = handler.mark;
    const everyReplica = options.everyReplica === true;
    const common = `${this.settings.app}-${options.subscription}`;
    const feed = new ChangeFeed({
      contract,
      subscription: common,
      snapshots: options.snapshots ?? false,
      handledKeys: this.settings.handledKeys,
      onChange: (changes) => handler.call(changes),
      onResync: resyncs.map((resync) => (event) => resync.call(event)),
    });
    const subscription = new FeedSubscription(common, contract.topic);
    this.activity.handlers.push({ contract: contract.name, feed, subscription });
    const registered = this.consumers.register(
      {
        topic: contract.topic,
        subscription: common,
        type: 'Key_Shared',
        initialPosition: 'earliest',
        delivery: everyReplica ? 'every-replica' : 'work-sharing',
        concurrency: options.concurrency ?? 1,
        codec: envelopeCodec,
        isOutage,
      },
      (envelope, context) => feed.handle(envelope, context),
    );
    this.service.follow(subscription, registered);
    this.#logger.log(
      `${handler.owner} handles changes of "${contract.name}" as "${common}"${everyReplica ? ' on every replica' : ''}.`,
    );
  }

  #find(): readonly FoundHandler[] {
    const found: FoundHandler[] = [];
    const seen = new Set<unknown>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const prototype = prototypeOf(wrapper);
      // An alias, or a second token for the same object, is not a second handler.
      const identity: unknown = wrapper.isDependencyTreeStatic() ? (wrapper.instance as unknown) : wrapper;
      if (prototype === undefined || wrapper.isAlias || seen.has(identity)) {
        continue;
      }
      const methods = this.scanner
        .getAllMethodNames(prototype)
        .map((name) => ({ name, method: Reflect.get(prototype, name) as unknown }))
        .flatMap(({ name, method }) => (isMethod(method) ? handlerMarks(method).map((mark) => ({ name, mark })) : []));
      if (methods.length > 0) {
        seen.add(identity);
        found.push(
          ...methods.map(({ name, mark }) => handlerOf(wrapper, `${prototype.constructor.name}.${name}`, name, mark)),
        );
      }
    }
    return found;
  }
}

function handlerOf(wrapper: InstanceWrapper, owner: string, name: string, mark: HandlerMark): FoundHandler {
  const instance: unknown = wrapper.instance;
  if (!wrapper.isDependencyTreeStatic() || typeof instance !== 'object' || instance === null) {
    throw new ConfigurationError(
      `@On${mark.kind === 'change' ? 'Change' : 'Resync'} on ${owner}`,
      [{ option: '', problem: 'its class is request-scoped or transient, but changes belong to no request' }],
      'Put the handler into a provider of the default scope.',
    );
  }
  return {
    owner,
    mark,
    call: async (argument) => {
      // Looked up at every call, so that a wrapper that another library puts on the instance later counts.
      const method: unknown = Reflect.get(instance, name);
      if (!isMethod(method)) {
        throw new TypeError(`${owner} is no method any more.`);
      }
      await method.call(instance, argument);
    },
  };
}

/** Where the decorated methods are: on the class, or on that of a ready object (`useValue`, `useFactory`). */
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

function feedOf({ contract, options }: HandlerMark): string {
  return `${contract.topic} ${options.subscription}`;
}

function isMethod(value: unknown): value is AnyMethod {
  return typeof value === 'function';
}
