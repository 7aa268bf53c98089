import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Clock, ConfigurationError, Random } from '@smartpulse/resilience';
import { tryWithin } from '../connection/startup.js';
import { PulsarError } from '../pulsar.errors.js';
import { PULSAR_OPTIONS, type ResolvedPulsarOptions } from '../pulsar.options.js';
import type { NamespacePolicies } from './broker-admin.js';
import type { ProvisionedNamespace, ProvisionedTopic } from './provision-options.js';
import { PulsarAdmin } from './pulsar.admin.js';

/**
 * Sees to it that what an app needs is on the broker, before anything subscribes. What is there already stays, each difference is told in a line of the log, and
 * what several replicas do at once is done once. A broker that does not answer is dealt with by `startup`, as the connection is.
 */
@Injectable()
export class PulsarProvisioner implements OnModuleInit {
  readonly #logger = new Logger('PulsarModule');
  readonly #admin: PulsarAdmin;
  readonly #options: ResolvedPulsarOptions;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(
    @Inject(PulsarAdmin) admin: PulsarAdmin,
    @Inject(PULSAR_OPTIONS) options: ResolvedPulsarOptions,
    @Inject(Clock) clock: Clock,
    @Inject(Random) random: Random,
  ) {
    this.#admin = admin;
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * @throws ConfigurationError when a topic has more partitions than it is to have, or none and should have some; PulsarError when the broker refuses, or does
   *   not answer and `startup` does not say `continue`.
   */
  async onModuleInit(): Promise<void> {
    const { provision, startup } = this.#options;
    if (provision === undefined) {
      return;
    }
    try {
      await tryWithin(
        {
          clock: this.#clock,
          random: this.#random,
          timeoutMs: startup.policy === 'retry' ? startup.timeoutMs : 0,
          isWanted: () => true,
          onFailed: (error, attempt) => this.#logger.warn(`Attempt ${attempt} to provision failed (${String(error)}).`),
        },
        () => this.#provision(),
      );
    } catch (error) {
      if (startup.policy !== 'continue' || !PulsarError.is(error) || error.kind !== 'transient') {
        throw error;
      }
      this.#logger.warn(`Nothing could be provisioned, the next start does it (${error.message}).`);
    }
  }

  async #provision(): Promise<void> {
    const { tenants = [], namespaces = [], topics = [] } = this.#options.provision ?? {};
    const { capabilities } = this.#admin;
    // One after the other: a namespace needs its tenant, a topic its namespace.
    if (capabilities.tenants) {
      for (const tenant of tenants) {
        // oxlint-disable-next-line no-await-in-loop -- in order
        await this.#make(
          `tenant ${tenant}`,
          () => this.#admin.tenants(),
          tenant,
          () => this.#admin.createTenant(tenant),
        );
      }
      for (const namespace of namespaces) {
        // oxlint-disable-next-line no-await-in-loop -- in order
        await this.#namespace(namespace);
      }
    } else if (tenants.length + namespaces.length > 0) {
      this.#logger.log('Tenants and namespaces are not provisioned: this broker has none.');
    }
    for (const topic of topics) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await this.#topic(topic);
    }
  }

  async #namespace({ name, ...wanted }: ProvisionedNamespace): Promise<void> {
    const [tenant = ''] = name.split('/');
    await this.#make(
      `namespace ${name}`,
      () => this.#admin.namespaces(tenant),
      name,
      () => this.#admin.createNamespace(name),
    );
    const before = await this.#admin.policies(name);
    const changed = Object.entries(wanted).filter(
      ([policy, value]) => value !== undefined && !isDeepStrictEqual(value, Reflect.get(before, policy)),
    );
    if (changed.length > 0) {
      const policies: NamespacePolicies = Object.fromEntries(changed);
      await this.#admin.setPolicies(name, policies);
      this.#logger.log(`Provisioned: policies of ${name}: ${JSON.stringify(policies)}`);
    }
  }

  async #topic({ topic, partitions: wanted = 0 }: ProvisionedTopic): Promise<void> {
    if (wanted > 0 && !this.#admin.capabilities.partitions) {
      this.#logger.log(`Topic ${topic} gets no partitions: this broker has none.`);
      return this.#topic({ topic });
    }
    const found = await this.#admin.partitions(topic);
    if (found === undefined) {
      if (await this.#made(() => this.#admin.createTopic(topic, wanted))) {
        this.#logger.log(`Provisioned: topic ${topic}${wanted === 0 ? '' : `, ${wanted} partitions`}`);
        return;
      }
      // Another replica was first; it may know another number.
      return this.#topic({ topic, partitions: wanted });
    }
    if (found === wanted) {
      return;
    }
    if (found === 0 || wanted < found) {
      throw new ConfigurationError('PulsarModule.forRoot', [
        {
          option: 'provision.topics',
          problem: `topic ${topic} has ${found} partitions, which cannot become ${wanted}; partitions only grow, and a topic without any gets none`,
        },
      ]);
    }
    await this.#made(() => this.#admin.growTopic(topic, wanted));
    this.#logger.log(
      `Provisioned: topic ${topic}, ${found} partitions became ${wanted}; keys go to others than before`,
    );
  }

  async #make(
    what: string,
    list: () => Promise<readonly string[]>,
    name: string,
    create: () => Promise<void>,
  ): Promise<void> {
    if (!(await list()).includes(name) && (await this.#made(create))) {
      this.#logger.log(`Provisioned: ${what}`);
    }
  }

  /** Whether it was us: `false` when another one was first. */
  async #made(create: () => Promise<void>): Promise<boolean> {
    try {
      await create();
      return true;
    } catch (error) {
      if (PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_CONFLICT') {
        return false;
      }
      throw error;
    }
  }
}
