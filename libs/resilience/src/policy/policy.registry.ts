import type { Clock } from '../clock/clock.js';
import { checkOptions } from '../configuration/check-options.js';
import type { Random } from '../random/random.js';
import { ConfigurationError, UnknownPolicyError } from '../resilience.errors.js';
import { ComposedPolicy } from './composed.policy.js';
import { DeadlineList } from './deadline-list.js';
import type { Policy, PolicySnapshot } from './policy.js';
import { type PolicyOptions, policyOptionsSchema } from './policy.options.js';
import { resolvePolicyOptions } from './resolve-policy.js';
import { RetryWaits } from './retry-waits.js';

/**
 * The policies of one app by name. Their state belongs to this registry: two apps in one process share nothing.
 *
 * @example
 * ```ts
 * const policy = registry.get('stock');
 * await policy.execute(({ signal }) => fetchStock(id, signal));
 * ```
 */
export class ResilienceRegistry {
  readonly #policies = new Map<string, Policy>();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #deadlines: DeadlineList;
  readonly #waits = new RetryWaits();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#deadlines = new DeadlineList(clock);
  }

  /**
   * The policy of that name.
   *
   * @throws {@link UnknownPolicyError} that lists the names there are.
   */
  get(name: string): Policy {
    const policy = this.#policies.get(name);
    if (policy === undefined) {
      throw new UnknownPolicyError(name, [...this.#policies.keys()]);
    }
    return policy;
  }

  /** Whether there is a policy of that name. */
  has(name: string): boolean {
    return this.#policies.has(name);
  }

  /** All policies as they are now, in the order of their creation. */
  list(): readonly PolicySnapshot[] {
    return [...this.#policies.values()].map((policy) => policy.snapshot());
  }

  /**
   * Adds a policy. Libraries do it in a constructor or a factory, so that names are known before the app boots.
   *
   * @param name unique in the app; a library puts its own name first: `pulsar.probe`.
   * @throws {@link ConfigurationError} when an option is wrong or the name is taken.
   */
  create(name: string, options: PolicyOptions = {}): Policy {
    const owner = `Policy "${name}"`;
    if (this.#policies.has(name)) {
      throw new ConfigurationError(owner, [{ option: '', problem: 'there is a policy of this name already' }]);
    }
    checkOptions(owner, policyOptionsSchema, options);
    const policy = new ComposedPolicy(name, resolvePolicyOptions(owner, options), {
      clock: this.#clock,
      random: this.#random,
      deadlines: this.#deadlines,
      waits: this.#waits,
    });
    this.#policies.set(name, policy);
    return policy;
  }

  /** Ends the waits before retries, each with the error it waited for; drops the shared timer of the time-outs: calls that still run are no longer cut. */
  close(): void {
    this.#waits.close();
    this.#deadlines.close();
  }
}
