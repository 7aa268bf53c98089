import { join } from 'node:path';
import ts from 'typescript';
import type { Page } from './markdown.js';
import { ROOT } from './source-tree.js';

/** Line of a hidden comment that tells what a page takes for granted: `<!-- given: declare const orders: OrderRepository; -->`. */
const GIVEN = /^<!-- given: (.*) -->$/;

/**
 * All pages with TypeScript in one program, on the sources of the packages.
 *
 * A page is one module: its `ts` blocks in their order, as a reader reads them, and what it takes for granted in comments that a reader does
 * not see. Every other line is empty, so a mistake is told by its line on the page.
 */
export function pageProgram(pages: readonly Page[]): ts.Program {
  const modules = new Map(
    pages
      .filter(({ blocks }) => blocks.some(({ language }) => language === 'ts'))
      .map((page) => [moduleOf(page), textOf(page)]),
  );
  const options = readOptions();
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    readFile: (file) => modules.get(file) ?? disk.readFile(file),
    fileExists: (file) => modules.has(file) || disk.fileExists(file),
    getSourceFile: (file, version, ...rest) => {
      const text = modules.get(file);
      return text === undefined
        ? disk.getSourceFile(file, version, ...rest)
        : ts.createSourceFile(file, text, version, true);
    },
  };
  return ts.createProgram([...modules.keys()], options, host);
}

/** What is wrong with the code of a page, by line of the page. */
export function mistakesOf(program: ts.Program, page: Page): readonly string[] {
  const source = program.getSourceFile(moduleOf(page));
  return source === undefined
    ? []
    : [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
        ({ start = 0, messageText }) =>
          `${page.path}:${source.getLineAndCharacterOfPosition(start).line + 1} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
      );
}

function moduleOf({ path }: Page): string {
  return join(ROOT, `${path}.ts`);
}

function textOf(page: Page): string {
  const code = page.prose.map((line) => GIVEN.exec(line)?.[1] ?? '');
  for (const { language, line, lines } of page.blocks) {
    if (language === 'ts') {
      lines.forEach((text, index) => (code[line + index] = text));
    }
  }
  // Also a page that imports nothing is a module of its own.
  return [...code, 'export {};'].join('\n');
}

function readOptions(): ts.CompilerOptions {
  const file = join(ROOT, 'tsconfig.json');
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(file, (path) => ts.sys.readFile(path)).config,
    ts.sys,
    ROOT,
  );
  // An example may show a class that nobody in it uses.
  return { ...options, noEmit: true, composite: false, incremental: false, noUnusedLocals: false };
}

/** The names of what an interface of a library has, inherited ones too. */
export function optionNames(program: ts.Program, library: string, type: string): readonly string[] {
  const checker = program.getTypeChecker();
  const from = join(ROOT, 'libs', library, 'src');
  const declared = program
    .getSourceFiles()
    .filter(({ fileName }) => fileName.startsWith(from))
    .flatMap((file) => file.statements.filter(ts.isInterfaceDeclaration))
    .find(({ name }) => name.text === type);
  return declared === undefined
    ? []
    : checker
        .getTypeAtLocation(declared)
        .getProperties()
        .map(({ name }) => name);
}
