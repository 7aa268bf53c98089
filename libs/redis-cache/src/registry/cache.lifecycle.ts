import { Logger, type OnModuleInit } from '@nestjs/common';
import type { ShutdownCoordinator } from '@smartpulse/resilience';
import { CacheTelemetry } from '../redis-cache.telemetry.js';
import type { CacheConnection } from './cache.connection.js';
import type { CacheRegistry } from './cache.registry.js';

/** Brings the app's caches up before anything reads them, and takes them down with the other clients. */
export class CacheLifecycle implements OnModuleInit {
  readonly #logger = new Logger('RedisCacheModule');

  constructor(
    private readonly connection: CacheConnection,
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
        await this.connection.close();
      },
    });
    telemetry.start();
    await this.registry.connect();
    const names = this.registry.list().map((cache) => `${this.connection.prefix}:${cache.name}`);
    this.#logger.log(`Caches ${names.length === 0 ? '(none)' : names.join(', ')}: ${this.connection.description}.`);
  }
}
