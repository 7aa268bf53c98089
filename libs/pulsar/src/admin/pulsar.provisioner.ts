import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { type BackoffOptions, backoffDelayMs, Clock, ConfigurationError, Random } from '@smartpulse/resilience';
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
    await this.#together(async () => {
      const before = await this.#admin.policies(name);
      const changed = Object.entries(wanted).filter(
        ([policy, value]) => value !== undefined && !isDeepStrictEqual(value, Reflect.get(before, policy)),
      );
      if (changed.length > 0) {
        const policies: NamespacePolicies = Object.fromEntries(changed);
        await this.#admin.setPolicies(name, policies);
        this.#logger.log(`Provisioned: policies of ${name}: ${JSON.stringify(policies)}`);
      }
    });
  }

  async #topic({ topic, partitions: asked = 0 }: ProvisionedTopic): Promise<void> {
    const wanted = this.#admin.capabilities.partitions ? asked : 0;
    if (wanted !== asked) {
      this.#logger.log(`Topic ${topic} gets no partitions: this broker has none.`);
    }
    await this.#together(async () => {
      const found = await this.#admin.partitions(topic);
      if (found === undefined) {
        await this.#admin.createTopic(topic, wanted);
        this.#logger.log(`Provisioned: topic ${topic}${wanted === 0 ? '' : `, ${wanted} partitions`}`);
        return;
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
      await this.#admin.growTopic(topic, wanted);
      this.#logger.log(
        `Provisioned: topic ${topic}, ${found} partitions became ${wanted}; keys go to others than before`,
      );
    });
  }

  #make(
    what: string,
    list: () => Promise<readonly string[]>,
    name: string,
    create: () => Promise<void>,
  ): Promise<void> {
    return this.#together(async () => {
      if (!(await list()).includes(name)) {
        await create();
        this.#logger.log(`Provisioned: ${what}`);
      }
    });
  }

  /**
   * Looks and makes what is missing; when the broker says that another one was first, or may have been, looks again. Each refusal of this kind means that
   * somebody else came further, so the attempts are few.
   */
  async #together(lookAndMake: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one look after the other
        return await lookAndMake();
      } catch (error) {
        if (!isContended(error) || attempt >= CONTENDED_ATTEMPTS) {
          throw error;
        }
        // oxlint-disable-next-line no-await-in-loop -- apart from the others
        await this.#clock.sleep(backoffDelayMs(CONTENDED_BACKOFF, attempt, this.#random));
      }
    }
  }
}

const CONTENDED_ATTEMPTS = 8;
const CONTENDED_BACKOFF: BackoffOptions = { initialMs: 50, multiplier: 2, maxMs: 1_000, jitter: 'full' };

/** 409 mostly; Pulsar 4.2 answers two who make the same tenant at once with 500, because the second write of its metadata finds another version. */
function isContended(error: unknown): boolean {
  return (
    PulsarError.is(error) &&
    (error.code === 'SMARTPULSE_PULSAR_CONFLICT' || (error.code === 'SMARTPULSE_PULSAR_BROKER' && error.ambiguous))
  );
}
