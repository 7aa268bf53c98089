import { HandlerContractError, HandlerThrewError } from '../batch.errors.js';
import type { AutoBatchWorkerOptions } from './auto-batch-worker.options.js';
import type { BatchAnswer, BatchContext, BatchOutcome } from './batch-outcome.js';

/** What a whole batch came to. */
export type BatchResult<TResult> =
  | { readonly status: 'completed' }
  | { readonly status: 'failed'; readonly error: Error; readonly isolable: boolean }
  | { readonly status: 'itemised'; readonly outcomes: readonly BatchOutcome<TResult>[] };

/** Calls the handler and checks what it answers. Never rejects. */
export async function callHandler<TItem, TResult>(
  options: AutoBatchWorkerOptions<TItem, TResult>,
  items: readonly TItem[],
  context: BatchContext,
): Promise<BatchResult<TResult>> {
  const expected = items.length;
  let answer: BatchAnswer<TResult>;
  try {
    answer = await options.handler(items, context);
  } catch (error) {
    return {
      status: 'failed',
      error: error instanceof Error ? error : new HandlerThrewError(options.name, error),
      isolable: true,
    };
  }
  if (answer === undefined) {
    return { status: 'completed' };
  }
  const problem = problemOf(answer, expected);
  return problem === undefined
    ? { status: 'itemised', outcomes: answer }
    : { status: 'failed', error: new HandlerContractError(options.name, problem), isolable: false };
}

function problemOf(answer: unknown, expected: number): string | undefined {
  if (!Array.isArray(answer)) {
    return `it answered a value of type ${typeof answer}; nothing or an array of outcomes is expected.`;
  }
  if (answer.length !== expected) {
    return `it answered ${answer.length} outcomes for ${expected} items; one per item, in their order, is expected.`;
  }
  const wrong = answer.findIndex((outcome: unknown) => !isOutcome(outcome));
  return wrong === -1
    ? undefined
    : `outcome ${wrong} is neither { status: "fulfilled", value } nor { status: "rejected", error } with an Error.`;
}

function isOutcome(outcome: unknown): boolean {
  if (typeof outcome !== 'object' || outcome === null || !('status' in outcome)) {
    return false;
  }
  return (
    outcome.status === 'fulfilled' ||
    (outcome.status === 'rejected' && 'error' in outcome && outcome.error instanceof Error)
  );
}
