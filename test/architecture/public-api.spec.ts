import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { LIBRARIES, ROOT } from './source-tree.js';

interface Entry {
  /** `@smartpulse/cdc/embedded` */
  readonly name: string;
  readonly file: string;
}

/** Every entry of every library, as its `exports` names them. */
const entries: readonly Entry[] = LIBRARIES.flatMap((library) => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'libs', library, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  };
  return Object.entries(manifest.exports).flatMap(([path, target]) => {
    const source = typeof target === 'string' ? undefined : target['@smartpulse/source'];
    return source === undefined
      ? []
      : [{ name: `${manifest.name}${path.slice(1)}`, file: join(ROOT, 'libs', library, source) }];
  });
});

describe('what the libraries export', () => {
  let exportsOf: ReadonlyMap<string, readonly { readonly name: string; readonly documented: boolean }[]>;

  beforeAll(() => {
    const config = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => readFileSync(path, 'utf8'));
    const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, ROOT);
    const program = ts.createProgram(
      entries.map(({ file }) => file),
      { ...options, noEmit: true, composite: false, incremental: false },
    );
    const checker = program.getTypeChecker();
    exportsOf = new Map(
      entries.map(({ name, file }) => {
        const source = program.getSourceFile(file);
        const module = source && checker.getSymbolAtLocation(source);
        const symbols = module ? checker.getExportsOfModule(module) : [];
        return [
          name,
          symbols.map((symbol) => ({ name: symbol.name, documented: isDocumented(symbol, checker) })).sort(byName),
        ];
      }),
    );
  });

  it.each(entries)('$name exports exactly the listed names', async ({ name }) => {
    const names = (exportsOf.get(name) ?? []).map((one) => one.name);
    expect(names.length).toBeGreaterThan(0);
    await expect(`${names.join('\n')}\n`).toMatchFileSnapshot(
      join(ROOT, 'test/architecture/public-api', `${name.replace('@smartpulse/', '').replace('/', '.')}.txt`),
    );
  });

  it.each(entries)('$name documents every export', ({ name }) => {
    expect((exportsOf.get(name) ?? []).filter(({ documented }) => !documented).map((one) => one.name)).toEqual([]);
  });
});

function isDocumented(symbol: ts.Symbol, checker: ts.TypeChecker): boolean {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  return target.getDocumentationComment(checker).length > 0;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
