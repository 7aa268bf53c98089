import { Inject, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { ResilienceRegistry } from '../policy/policy.registry.js';
import { UnknownPolicyError } from '../resilience.errors.js';
import { RESILIENT_POLICY } from './resilient.decorator.js';

/** Refuses to boot an app in which `@Resilient` names a policy that is not there; the first call is too late to say so. */
export class ResilientExplorer implements OnModuleInit {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(ResilienceRegistry) private readonly registry: ResilienceRegistry,
  ) {}

  /** @throws {@link UnknownPolicyError} that names the method. */
  onModuleInit(): void {
    // The class, not the instance: request-scoped providers have none yet.
    for (const { metatype } of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const prototype: unknown = typeof metatype === 'function' ? metatype.prototype : undefined;
      if (typeof prototype === 'object' && prototype !== null) {
        this.#check(prototype);
      }
    }
  }

  #check(prototype: object): void {
    for (const key of this.scanner.getAllMethodNames(prototype)) {
      const method: unknown = Reflect.get(prototype, key);
      const policy: unknown = typeof method === 'function' ? Reflect.getMetadata(RESILIENT_POLICY, method) : undefined;
      if (typeof policy === 'string' && !this.registry.has(policy)) {
        const known = this.registry.list().map(({ name }) => name);
        throw new UnknownPolicyError(policy, known, `@Resilient on ${prototype.constructor.name}.${key}`);
      }
    }
  }
}
