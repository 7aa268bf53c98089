import { type DynamicModule, Inject, Module } from '@nestjs/common';
import { BatchForRootClaim } from './batch.claim.js';
import { BatchCoreModule } from './batch.core.module.js';
import { BatchOptionsModule } from './batch.options.module.js';
import type { BatchModuleAsyncOptions, BatchModuleOptions } from './batch.options.js';

/**
 * Workers and queues that share the app's time, stop with it and show on its health page. Import it once, in the root module, beside
 * `ResilienceModule.forRoot()`; what it provides is global: {@link BatchRegistry}.
 *
 * @example
 * ```ts
 * @Module({ imports: [ResilienceModule.forRoot(), BatchModule.forRoot()] })
 * class AppModule {}
 *
 * @Injectable()
 * class OrderSaver {
 *   readonly #worker: AutoBatchWorker<Order, number>;
 *
 *   constructor(batches: BatchRegistry, repository: OrderRepository) {
 *     this.#worker = batches.createWorker({ name: 'orders', handler: (orders) => repository.insertAll(orders) });
 *   }
 * }
 * ```
 */
@Module({})
export class BatchModule {
  constructor(@Inject(BatchForRootClaim) claim: BatchForRootClaim) {
    claim.take();
  }

  /** @throws ConfigurationError that lists everything that is wrong with the options. */
  static forRoot(options: BatchModuleOptions = {}): DynamicModule {
    return { module: BatchModule, imports: [BatchOptionsModule.with(options), BatchCoreModule] };
  }

  /** Like {@link forRoot}, with options that a factory makes; they are checked at start. */
  static forRootAsync(options: BatchModuleAsyncOptions): DynamicModule {
    return { module: BatchModule, imports: [BatchOptionsModule.withFactory(options), BatchCoreModule] };
  }
}
