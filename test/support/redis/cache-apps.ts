import { Test, type TestingModule } from '@nestjs/testing';
import {
  CacheRegistry,
  defineCache,
  RedisCacheModule,
  type RedisCacheModuleOptions,
  type VersionedCache,
} from '@smartpulse/redis-cache';
import { type CircuitSnapshot, ResilienceModule, ResilienceRegistry } from '@smartpulse/resilience';

const HEARTBEAT_MS = 200;
const PREFIX = 'shop';
const rows = defineCache<string>({ name: 'rows', synced: true, storeTimeoutMs: 1_000 });

/** The key of the generation of these apps. */
export const GENERATION = `{${PREFIX}:!gen}`;

/** The name of a key in the store, without its generation. */
export function storedName(key: string): string {
  return `{${PREFIX}:${rows.name}:${key}}:v`;
}

/** The channel of these apps. */
export const CHANNEL = `${PREFIX}:${rows.name}:!inv`;

/** Apps of one test that share a Redis. */
export class CacheApps {
  readonly #apps: TestingModule[] = [];

  async start(where: Pick<RedisCacheModuleOptions, 'url' | 'client'>): Promise<VersionedCache<string>> {
    const app = await Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot(),
        RedisCacheModule.forRoot({ ...where, prefix: PREFIX, heartbeatMs: HEARTBEAT_MS }),
        RedisCacheModule.forFeature([rows]),
      ],
    }).compile();
    await app.init();
    this.#apps.push(app);
    return app.get(CacheRegistry).get<string>(rows.name);
  }

  /** The circuits in front of the stores. */
  get circuits(): readonly (CircuitSnapshot | undefined)[] {
    return this.#apps.map((app) => app.get(ResilienceRegistry).get('redis-cache.store').snapshot().circuit);
  }

  get trusted(): boolean {
    return this.#apps.every((app) => app.get(CacheRegistry).get(rows.name).trusted);
  }

  async close(): Promise<void> {
    await Promise.all(this.#apps.splice(0).map((app) => app.close()));
  }
}

/** Notes every generation that is seen in the store, until it is told to end. */
export class GenerationLog {
  readonly seen = new Set<string>();
  readonly #loop: Promise<void>;
  #running = true;

  /** @param read answers the generation; its errors are those of an outage. */
  constructor(read: () => Promise<string | null>) {
    this.#loop = this.#watch(read);
  }

  async end(): Promise<readonly string[]> {
    this.#running = false;
    await this.#loop;
    return [...this.seen];
  }

  async #watch(read: () => Promise<string | null>): Promise<void> {
    while (this.#running) {
      const generation = await read().catch(() => null);
      if (generation !== null) {
        this.seen.add(generation);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
