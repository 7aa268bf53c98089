import { Logger } from '@nestjs/common';
import type { ChangeTracker } from '@smartpulse/cdc';
import type { PulsarConnection, PulsarConsumers, PulsarPublisher } from '@smartpulse/pulsar';
import { type Clock, ConfigurationError } from '@smartpulse/resilience';
import { ChangeApplier } from '../apply/change.applier.js';
import { StampTrust } from '../apply/stamp.trust.js';
import { NotQuietError } from '../data-sync.errors.js';
import type { DataSyncSettings } from '../data-sync.options.js';
import type { SyncDefinition } from '../definition/sync-definition.js';
import { envelopeCodec } from '../envelope/envelope.pulsar.codec.js';
import type { OutboxDefinition } from '../outbox/outbox-definition.js';
import { OutboxRelay } from '../outbox/outbox-relay.change.sink.js';
import { ChangePublisher } from '../publish/publisher.change.sink.js';
import type { RegisteredSync, SyncRegistry } from '../registry/sync.registry.js';
import type { DataSyncStats } from './data-sync.stats.js';
import type { OptionalParts } from './optional-parts.js';
import { isOutage } from './outage.js';
import { FeedSubscription, type SyncActivity } from './sync.activity.js';
import { QuietWatch } from './quiet.watch.js';

/** What the service works with. */
export interface DistributedDataSyncParts {
  readonly settings: DataSyncSettings;
  readonly registry: SyncRegistry;
  readonly activity: SyncActivity;
  /** Database and caches, where the app has them. */
  readonly optional: OptionalParts;
  readonly consumers: PulsarConsumers;
  readonly publisher: PulsarPublisher;
  readonly connection: PulsarConnection;
  readonly clock: Clock;
}

/** How to wait for quiet. */
export interface QuietOptions {
  /** The longest wait, in milliseconds. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  /** How often to look, in milliseconds. Default 50. */
  readonly intervalMs?: number | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

const OWNER = 'DataSyncModule.forFeature';
// A resync sweeps the whole namespace: longer than one change ever takes.
const APPLY_TIMEOUT_MS = 120_000;

/** Runs the syncs of an app in the roles that it was given: trackers that publish, appliers that keep caches right, outboxes. */
export class DistributedDataSyncService {
  readonly #logger = new Logger(DistributedDataSyncService.name);
  readonly #parts: DistributedDataSyncParts;
  readonly #trust: StampTrust;
  readonly #stopping = new AbortController();

  constructor(parts: DistributedDataSyncParts) {
    this.#parts = parts;
    this.#trust = new StampTrust(parts.optional.reader(OWNER), parts.clock);
  }

  /**
   * Checks the syncs and sets them up: subscriptions are asked for, trackers wait until they stand.
   *
   * @throws ConfigurationError naming every sync that cannot work, with the remedy.
   * @internal called by the module's runner.
   */
  async begin(): Promise<void> {
    const { registry, activity, optional } = this.#parts;
    const syncs = registry.list();
    if (syncs.length > 0 || registry.outboxes().length > 0) {
      optional.database(OWNER);
    }
    this.#checkCaches(syncs);
    if (syncs.some(({ roles }) => roles.has('apply'))) {
      await this.#checkReader();
    }
    for (const { sync, roles } of syncs) {
      activity.syncs.push({
        sync,
        publish: roles.has('publish') ? this.#publish(sync) : undefined,
        apply: roles.has('apply') ? this.#apply(sync) : undefined,
      });
      const named = [...roles].join(' and ') || 'readers and writers only';
      this.#logger.log(
        `Sync "${sync.contract.name}": ${sync.table} → ${sync.contract.topic} → ${sync.cache} (${named}).`,
      );
    }
    for (const outbox of registry.outboxes()) {
      activity.outboxes.push(this.#relay(outbox));
    }
    // What is refused at once is refused for its options; everything else waits for the broker.
    await Promise.resolve();
    for (const { state } of activity.subscriptions()) {
      if (state.kind === 'refused' && ConfigurationError.is(state.error)) {
        throw state.error;
      }
    }
  }

  /** Ends waits. Trackers and consumers belong to cdc and pulsar, which stop them first of all. */
  end(): void {
    this.#stopping.abort(new Error('The app is stopping.'));
  }

  /** What publishers, appliers, handlers and outboxes have done. */
  stats(): DataSyncStats {
    return this.#parts.activity.stats();
  }

  /**
   * Resolves when everything committed before the call, as far as this replica can tell, has arrived: its trackers are at the database's
   * version, nothing is being published, and its appliers and handlers have settled what was published here. Only for replicas that publish.
   * What other replicas take from a shared subscription is not seen: it counts as arrived when this one had nothing to do for a second.
   *
   * @throws {@link NotQuietError} that says what is still moving when the time is up; the signal's reason.
   */
  async quiet(options: QuietOptions = {}): Promise<void> {
    const { clock, activity, optional } = this.#parts;
    const timeoutMs = options.timeoutMs ?? 60_000;
    const deadlineMs = clock.monotonic() + timeoutMs;
    const signal = AbortSignal.any([this.#stopping.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    const watch = new QuietWatch(activity, await optional.reader('DistributedDataSyncService.quiet').current(), clock);
    for (;;) {
      signal.throwIfAborted();
      const reasons = watch.reasons();
      if (reasons.length === 0) {
        return;
      }
      if (clock.monotonic() >= deadlineMs) {
        throw new NotQuietError(timeoutMs, reasons);
      }
      await clock.sleep(options.intervalMs ?? 50, signal);
    }
  }

  #publish(sync: SyncDefinition): { readonly publisher: ChangePublisher; readonly tracker: ChangeTracker } {
    const { publisher, connection } = this.#parts;
    const sink = new ChangePublisher(sync, publisher, connection.transport);
    return { publisher: sink, tracker: this.#track(sync.table, sink) };
  }

  #relay(outbox: OutboxDefinition): {
    readonly table: string;
    readonly relay: OutboxRelay;
    readonly tracker: ChangeTracker;
  } {
    const { publisher, connection } = this.#parts;
    const relay = new OutboxRelay(outbox, publisher, connection.transport);
    this.#logger.log(`Outbox ${outbox.table} is relayed.`);
    return { table: outbox.table, relay, tracker: this.#track(outbox.table, relay) };
  }

  #track(table: string, sink: ChangePublisher | OutboxRelay): ChangeTracker {
    const { optional, settings, consumers } = this.#parts;
    const { cdc } = optional.database(OWNER);
    return cdc.track({ consumer: settings.app, table, sink, startAfter: () => consumers.whenSubscribed() });
  }

  #apply(sync: SyncDefinition): { readonly applier: ChangeApplier; readonly subscription: FeedSubscription } {
    const { clock, consumers, optional, settings } = this.#parts;
    const { reader, source } = optional.database(OWNER);
    const caches = optional.caches(OWNER);
    const refreshes = reader.isolation === 'snapshot';
    if (sync.shape !== 'aggregate' && !refreshes) {
      this.#logger.warn(
        `Sync "${sync.contract.name}": the source reads stamp and data in two statements, so changes invalidate instead of bringing values.`,
      );
    }
    const applier = new ChangeApplier({
      sync,
      cache: caches.get(sync.cache),
      fields: sync.shape === 'fields' ? caches.fields(sync.cache) : undefined,
      trust: this.#trust,
      clock,
      source: source.name,
      refreshes,
    });
    const subscription = new FeedSubscription(`${settings.app}-apply`, sync.contract.topic);
    const registered = consumers.register(
      {
        topic: sync.contract.topic,
        subscription: subscription.name,
        type: 'Shared',
        initialPosition: 'earliest',
        durable: true,
        concurrency: settings.applyConcurrency,
        codec: envelopeCodec,
        timeoutMs: APPLY_TIMEOUT_MS,
        isOutage,
        onDeadLetter: (message) => applier.deadLettered(message),
      },
      (envelope) => applier.handle(envelope),
    );
    this.follow(subscription, registered);
    return { applier, subscription };
  }

  /**
   * Keeps how a subscription came out, for health.
   *
   * @internal
   */
  follow(subscription: FeedSubscription, registered: ReturnType<PulsarConsumers['register']>): void {
    void registered.then(
      (handle) => subscription.stands(handle),
      (error: unknown) => {
        const reason = error instanceof Error ? error : new Error(String(error));
        subscription.refused(reason);
        this.#logger.error(
          `The subscription "${subscription.name}" on ${subscription.topic} does not stand: ${reason.message}`,
        );
      },
    );
  }

  #checkCaches(syncs: readonly RegisteredSync[]): void {
    const { optional } = this.#parts;
    // Who only publishes needs no cache; without a role an app reads and writes through it.
    if (!optional.hasCaches && syncs.every(({ roles }) => roles.has('publish') && !roles.has('apply'))) {
      return;
    }
    const caches = optional.caches(OWNER);
    const issues = syncs.flatMap(({ sync, roles }) => {
      const option = `syncs.${sync.contract.name}.cache`;
      if (!caches.has(sync.cache)) {
        return roles.has('apply')
          ? [
              {
                option,
                problem: `the cache "${sync.cache}" is not defined; import RedisCacheModule.forFeature([...]) with it`,
              },
            ]
          : [];
      }
      if (caches.hasFields(sync.cache) !== (sync.shape === 'fields')) {
        const remedy = sync.shape === 'fields' ? 'defineFieldsCache' : 'defineCache, or use shape "fields"';
        return [{ option, problem: `shape "${sync.shape}" needs the cache "${sync.cache}" declared with ${remedy}` }];
      }
      return caches.get(sync.cache).namespace.synced
        ? []
        : [
            {
              option,
              problem: `the cache "${sync.cache}" is not declared \`synced: true\`, so changes could create entries`,
            },
          ];
    });
    if (issues.length > 0) {
      throw new ConfigurationError(OWNER, issues);
    }
  }

  /** Tells a missing reader, which is a mistake, from a database that is down, which is not. */
  async #checkReader(): Promise<void> {
    try {
      await this.#parts.optional.reader(OWNER).current();
    } catch (error) {
      if (ConfigurationError.is(error)) {
        throw error;
      }
      this.#logger.warn('The database does not say its version yet; changes wait until it does.');
    }
  }
}
