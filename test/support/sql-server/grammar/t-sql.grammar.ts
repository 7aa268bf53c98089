import { fileURLToPath } from 'node:url';
import { type Search } from '../../pulsar-peers/java.js';
import { Peer } from '../../pulsar-peers/peer.js';
import { preparePythonWith } from '../../python/venv.js';

/** A grammar of Transact-SQL that others have written: it does not know what this project believes. */
export class TransactSqlGrammar implements AsyncDisposable {
  readonly #parser: Peer;

  private constructor(parser: Peer) {
    this.#parser = parser;
  }

  /** Starts the parser, or says why it cannot be had. */
  static async start(): Promise<Search<TransactSqlGrammar>> {
    const python = await preparePythonWith('sqlfluff==4.5.0', 'A grammar of Transact-SQL');
    if (!python.available) {
      return python;
    }
    const args = [fileURLToPath(new URL('parse.py', import.meta.url))];
    return {
      available: true,
      value: new TransactSqlGrammar(Peer.start({ name: 'the grammar', command: python.value, args })),
    };
  }

  /** What the grammar does not accept in a text; empty = it accepts all of it. */
  async problemsIn(sql: string): Promise<readonly string[]> {
    const { problems } = await this.#parser.ask<{ readonly problems: readonly string[] }>({ sql });
    return problems;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parser.close();
  }
}
