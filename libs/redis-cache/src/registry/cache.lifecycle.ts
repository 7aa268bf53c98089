import { Logger, type OnModuleInit } from '@nestjs/common';
import type { ShutdownCoordinator } from '@smartpulse/resilience';
import { CacheTelemetry } from '../redis-cache.telemetry.js';
import type { CacheConnections } from './cache.connections.js';
import { DEFAULT_CONNECTION } from './connection-options.js';
import type { CacheRegistry } from './cache.registry.js';

/** Brings the app's caches up before anything reads them, and takes them down with the other clients. */
export class CacheLifecycle implements OnModuleInit {
  readonly #logger = new Logger('RedisCacheModule');

  constructor(
    private readonly connections: CacheConnections,
    private readonly registry: CacheRegistry,
    private readonly shutdown: ShutdownCoordinator,
  ) {}

  async onModuleInit(): Promise<void> {
    const telemetry = new CacheTelemetry(this.registry);
    this.shutdown.register({
      name: 'redis-cache',
      phase: 'clients',
      stop: async () => {
        telemetry.stop();
        await this.registry.close();
        await this.connections.close();
      },
    });
    telemetry.start();
    await this.registry.connect();
    for (const { name, prefix, description } of this.connections.list()) {
      const caches = this.registry.list(name).map((cache) => `${prefix}:${cache.name}`);
      const where = name === DEFAULT_CONNECTION ? '' : ` on the connection "${name}"`;
      this.#logger.log(`Caches${where} ${caches.length === 0 ? '(none)' : caches.join(', ')}: ${description}.`);
    }
  }
}
