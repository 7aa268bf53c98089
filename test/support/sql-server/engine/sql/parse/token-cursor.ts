import { type EngineFault } from '../../errors/fault.js';
import { incorrectSyntax, incorrectSyntaxNearKeyword } from '../../errors/query-faults.js';
import { isReserved, type Token } from './lexer.js';

/** A place in the tokens of a batch. */
export class TokenCursor {
  #at = 0;

  constructor(
    readonly sql: string,
    private readonly tokens: readonly Token[],
  ) {}

  get token(): Token {
    return this.ahead(0);
  }

  ahead(by: number): Token {
    return (this.tokens[this.#at + by] ?? this.tokens.at(-1)) as Token;
  }

  /** The end of the token before this one, as a place in the text. */
  get textEnd(): number {
    return this.tokens[this.#at - 1]?.to ?? 0;
  }

  next(): Token {
    const { token } = this;
    this.#at++;
    return token;
  }

  /** Where the cursor stands, to come back to. */
  mark(): number {
    return this.#at;
  }

  backTo(mark: number): void {
    this.#at = mark;
  }

  isKeyword(...words: readonly string[]): boolean {
    return words.includes(this.token.keyword);
  }

  /** Whether these words follow one another from here. */
  isSequence(...words: readonly string[]): boolean {
    return words.every((word, index) => this.ahead(index).keyword === word);
  }

  isSymbol(...symbols: readonly string[]): boolean {
    return this.token.kind === 'symbol' && symbols.includes(this.token.text);
  }

  /** @returns the word that was there; `undefined` when none of them is. */
  accept(...words: readonly string[]): string | undefined {
    return this.isKeyword(...words) ? this.next().keyword : undefined;
  }

  acceptSequence(...words: readonly string[]): boolean {
    const there = this.isSequence(...words);
    if (there) {
      this.#at += words.length;
    }
    return there;
  }

  acceptSymbol(...symbols: readonly string[]): string | undefined {
    return this.isSymbol(...symbols) ? this.next().text : undefined;
  }

  expect(...words: readonly string[]): string {
    return this.accept(...words) ?? this.fail();
  }

  expectSymbol(...symbols: readonly string[]): string {
    return this.acceptSymbol(...symbols) ?? this.fail();
  }

  /** A name: quoted, or a word that is not reserved. */
  get isName(): boolean {
    return this.token.kind === 'quoted' || (this.token.kind === 'word' && !isReserved(this.token));
  }

  expectName(): string {
    return this.isName ? this.next().text : this.fail();
  }

  /** `a`, `a.b`, `a..c`. */
  expectPath(): readonly string[] {
    const parts = [this.expectName()];
    while (this.isSymbol('.')) {
      this.next();
      parts.push(this.isSymbol('.') ? '' : this.expectName());
    }
    return parts;
  }

  expectVariable(): string {
    return this.token.kind === 'variable' ? this.next().text : this.fail();
  }

  expectInteger(): number {
    return this.token.kind === 'number' && /^\d+$/.test(this.token.text) ? Number(this.next().text) : this.fail();
  }

  /** Parts in parentheses, divided by commas. */
  parenthesised<T>(part: () => T): readonly T[] {
    this.expectSymbol('(');
    const parts = this.list(part);
    this.expectSymbol(')');
    return parts;
  }

  list<T>(part: () => T): readonly T[] {
    const parts = [part()];
    while (this.acceptSymbol(',') !== undefined) {
      parts.push(part());
    }
    return parts;
  }

  /** @throws 102, 156 near the token here. */
  fail(): never {
    throw this.fault();
  }

  fault(): EngineFault {
    const { token } = this;
    if (token.kind === 'end') {
      return incorrectSyntax(this.ahead(-1).text);
    }
    return isReserved(token) ? incorrectSyntaxNearKeyword(token.text) : incorrectSyntax(token.text);
  }
}
