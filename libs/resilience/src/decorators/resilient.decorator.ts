import { Inject } from '@nestjs/common';
import { ResilienceRegistry } from '../policy/policy.registry.js';
import { SyncMethodError, UnmanagedInstanceError } from '../resilience.errors.js';

/** Where Nest puts the registry on instances of classes that have decorated methods. */
const REGISTRY: unique symbol = Symbol('smartpulse.resilience.registry');

/** Metadata on the method: the name of its policy. */
export const RESILIENT_POLICY = 'smartpulse:resilient';

/**
 * Runs an async method under the policy of that name. Retries call the method again with the same arguments on the same instance, so it
 * also holds for request-scoped providers; name, length and metadata of the method stay.
 *
 * Put it first (outermost): decorators above it see the policy, those below it the bare method.
 *
 * @throws {@link UnknownPolicyError} at start when there is no such policy; {@link SyncMethodError} at the call when the method does not
 *   answer a promise; {@link UnmanagedInstanceError} at the call on an instance that Nest has not made.
 * @example
 * ```ts
 * @Injectable()
 * class StockClient {
 *   @Resilient('stock')
 *   async find(id: string): Promise<Stock> { … }
 * }
 * ```
 */
export function Resilient(policy: string) {
  return <TArgs extends unknown[], TResult>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<(...args: TArgs) => Promise<TResult>>,
  ): TypedPropertyDescriptor<(...args: TArgs) => Promise<TResult>> => {
    const method = descriptor.value;
    if (method === undefined) {
      return descriptor;
    }
    Inject(ResilienceRegistry)(target, REGISTRY);
    const label = `${target.constructor.name}.${String(key)}`;
    const wrapped = function (this: object, ...args: TArgs): Promise<TResult> {
      const registry: unknown = Reflect.get(this, REGISTRY);
      if (!(registry instanceof ResilienceRegistry)) {
        return Promise.reject(new UnmanagedInstanceError(label));
      }
      return registry.get(policy).execute(() => {
        const answer = method.apply(this, args);
        if (!isThenable(answer)) {
          throw new SyncMethodError(label);
        }
        return answer;
      });
    };
    Object.defineProperty(wrapped, 'name', { value: method.name, configurable: true });
    Object.defineProperty(wrapped, 'length', { value: method.length, configurable: true });
    for (const name of Reflect.getOwnMetadataKeys(method) as unknown[]) {
      Reflect.defineMetadata(name, Reflect.getOwnMetadata(name, method), wrapped);
    }
    Reflect.defineMetadata(RESILIENT_POLICY, policy, wrapped);
    descriptor.value = wrapped;
    return descriptor;
  };
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
