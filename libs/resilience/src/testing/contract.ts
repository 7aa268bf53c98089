/**
 * One sentence of a port's contract and the check of it. Suites are data, so that any test runner can run them.
 */
export interface ContractCase {
  /** A sentence about behaviour. */
  readonly title: string;
  /** Rejects when the adapter breaks the sentence. */
  run(): Promise<void>;
  /** Why this adapter is not asked (a capability that it lacks); the runner shows the case as skipped. */
  readonly skip?: string;
}

/** What a suite needs of a test runner: vitest's, jest's and node:test's functions fit. */
export interface ContractRunner {
  describe(name: string, body: () => void): unknown;
  it: ((title: string, body: () => Promise<void>) => unknown) & {
    skip(title: string, body: () => Promise<void>): unknown;
  };
}

/**
 * Registers a contract suite with a test runner.
 *
 * @example
 * ```ts
 * import { describe, it } from 'vitest';
 * runContract({ describe, it }, 'CacheStore: my store', cacheStoreContract(() => new MyStore()));
 * ```
 */
export function runContract(runner: ContractRunner, name: string, cases: readonly ContractCase[]): void {
  runner.describe(name, () => {
    for (const one of cases) {
      if (one.skip === undefined) {
        runner.it(one.title, () => one.run());
      } else {
        runner.it.skip(`${one.title} (${one.skip})`, () => one.run());
      }
    }
  });
}
