import { type Statement } from './ast.js';
import { parseBatch } from './parse-batch.js';

/** Texts that are kept: more than any program sends that keeps values out of them. */
const MOST_TEXTS = 1_000;

/** Trees of texts that were parsed before. They hold names only, so that engines may share one. */
export class BatchCache {
  readonly #known = new Map<string, readonly Statement[]>();

  /** @throws what `parseBatch` throws. */
  parse(sql: string): readonly Statement[] {
    const known = this.#known.get(sql);
    if (known !== undefined) {
      return known;
    }
    const statements = parseBatch(sql);
    if (this.#known.size >= MOST_TEXTS) {
      this.#known.clear();
    }
    this.#known.set(sql, statements);
    return statements;
  }
}
