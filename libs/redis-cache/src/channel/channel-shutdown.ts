import type { ShutdownCoordinator } from '@smartpulse/resilience';
import type { CacheChannel } from './cache.channel.js';

/** Stops a channel with its app: takes nothing new, then finishes what was taken, and disconnects last, since others publish until they have finished. */
export function registerChannelShutdown(channel: CacheChannel, shutdown: Pick<ShutdownCoordinator, 'register'>): void {
  const name = 'redis-cache channel';
  shutdown.register({ name, phase: 'intake', stop: () => channel.endIntake() });
  shutdown.register({ name, phase: 'work', stop: ({ signal, timeoutMs }) => channel.drain({ signal, timeoutMs }) });
  shutdown.register({ name, phase: 'clients', stop: () => channel.close() });
}
