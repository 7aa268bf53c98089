import type { DiscoveryService } from '@nestjs/core';
import { HealthProbe } from '@smartpulse/resilience';
import { DuplicateProbeError } from '../health.errors.js';

/**
 * Every provider of the app that extends {@link HealthProbe}, once.
 *
 * @throws {@link DuplicateProbeError} when two of them have one name.
 */
export function findProbes(discovery: Pick<DiscoveryService, 'getProviders'>): readonly HealthProbe[] {
  const found = new Set<HealthProbe>();
  for (const wrapper of discovery.getProviders()) {
    const instance: unknown = wrapper.isDependencyTreeStatic() ? wrapper.instance : undefined;
    if (instance instanceof HealthProbe) {
      found.add(instance);
    }
  }
  const byName = new Map<string, HealthProbe>();
  for (const probe of found) {
    const other = byName.get(probe.name);
    if (other !== undefined) {
      throw new DuplicateProbeError(probe.name, [other.constructor.name, probe.constructor.name]);
    }
    byName.set(probe.name, probe);
  }
  return [...byName.values()].sort((a, b) => a.name.localeCompare(b.name));
}
