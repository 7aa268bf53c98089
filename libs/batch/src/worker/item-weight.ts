import { InvalidWeightError, ItemTooHeavyError } from '../batch.errors.js';
import type { AutoBatchWorkerOptions } from './auto-batch-worker.options.js';

/**
 * What an item weighs, by the worker's own scale.
 *
 * @throws InvalidWeightError; ItemTooHeavyError when it can never fit.
 */
export function weightOf<TItem>(
  options: Pick<AutoBatchWorkerOptions<TItem, never>, 'name' | 'weigh'>,
  item: TItem,
  capacityWeight: number,
): number {
  const weight = options.weigh?.(item) ?? 1;
  if (!Number.isFinite(weight) || weight < 0) {
    throw new InvalidWeightError(options.name, weight);
  }
  if (weight > capacityWeight) {
    throw new ItemTooHeavyError(options.name, weight, capacityWeight);
  }
  return weight;
}
