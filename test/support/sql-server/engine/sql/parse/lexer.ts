import { incorrectSyntax, unclosedString } from '../../errors/query-faults.js';
import { RESERVED } from './reserved.js';

/** A piece of SQL text. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'variable' | 'string' | 'nstring' | 'number' | 'binary' | 'symbol' | 'end';
  /** As meant: without quotes and brackets. */
  readonly text: string;
  /** Of a word: upper case, to be compared with keywords. Otherwise empty. */
  readonly keyword: string;
  readonly line: number;
  readonly from: number;
  readonly to: number;
}

const SYMBOLS = ['<>', '!=', '<=', '>=', '!<', '!>', '+=', '-=', '*=', '/=', '%=', '::'];
const PATTERNS: readonly (readonly [Token['kind'], RegExp])[] = [
  ['nstring', /N'((?:[^']|'')*)'/iy],
  ['string', /'((?:[^']|'')*)'/y],
  ['quoted', /\[((?:[^\]]|\]\])*)\]/y],
  ['quoted', /"((?:[^"]|"")*)"/y],
  ['binary', /0x([0-9a-f]*)/iy],
  ['number', /(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/iy],
  ['variable', /@@?[\p{L}\p{N}_@#$]+/uy],
  ['word', /[\p{L}_#$][\p{L}\p{N}_@#$]*/uy],
];

/** Cuts SQL into tokens; comments and blanks fall away. @throws 105, 102 */
export function tokenize(sql: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  const skip = (to: number): void => {
    for (; at < to; at++) {
      line += sql[at] === '\n' ? 1 : 0;
    }
  };
  for (;;) {
    skip(endOfBlanks(sql, at));
    if (at >= sql.length) {
      tokens.push({ kind: 'end', text: '', keyword: '', line, from: at, to: at });
      return tokens;
    }
    const token = tokenAt(sql, at, line);
    tokens.push(token);
    skip(token.to);
  }
}

/** Words that cannot name anything without quotes. */
export function isReserved({ kind, keyword }: Token): boolean {
  return kind === 'word' && RESERVED.has(keyword);
}

function tokenAt(sql: string, from: number, line: number): Token {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = from;
    const match = pattern.exec(sql);
    if (match !== null) {
      const text = unquoted(kind, match[1] ?? match[0], sql[from] ?? '');
      return { kind, text, keyword: kind === 'word' ? text.toUpperCase() : '', line, from, to: pattern.lastIndex };
    }
  }
  const char = sql[from] ?? '';
  if (char === "'" || char === '"' || char === '[') {
    throw unclosedString(sql.slice(from + 1));
  }
  const symbol = SYMBOLS.find((one) => sql.startsWith(one, from)) ?? char;
  if (!/^[-+*/%&|^~<>=!(),.;:]/.test(symbol)) {
    throw incorrectSyntax(symbol);
  }
  return { kind: 'symbol', text: symbol, keyword: '', line, from, to: from + symbol.length };
}

function unquoted(kind: Token['kind'], text: string, opening: string): string {
  if (kind === 'string' || kind === 'nstring') {
    return text.replaceAll("''", "'");
  }
  return kind === 'quoted' ? text.replaceAll(opening === '[' ? ']]' : '""', opening === '[' ? ']' : '"') : text;
}

function endOfBlanks(sql: string, from: number): number {
  let at = from;
  for (;;) {
    const start = at;
    while (/\s/.test(sql[at] ?? '')) {
      at++;
    }
    if (sql.startsWith('--', at)) {
      const end = sql.indexOf('\n', at);
      at = end < 0 ? sql.length : end;
    } else if (sql.startsWith('/*', at)) {
      at = endOfComment(sql, at);
    }
    if (at === start) {
      return at;
    }
  }
}

/** Comments nest. */
function endOfComment(sql: string, from: number): number {
  let depth = 0;
  for (let at = from; at < sql.length; at++) {
    if (sql.startsWith('/*', at)) {
      depth++;
      at++;
    } else if (sql.startsWith('*/', at)) {
      depth--;
      at++;
      if (depth === 0) {
        return at + 1;
      }
    }
  }
  return sql.length;
}
