import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { ROOT } from './source-tree.js';

/** A fenced block of a page. */
export interface CodeBlock {
  /** What stands behind the fence: `ts`, `sh`, … */
  readonly language: string;
  readonly lines: readonly string[];
  /** Place of the first line of code on the page, from 0. */
  readonly line: number;
}

/** A markdown file of the repository. */
export interface Page {
  /** Path from the root, with forward slashes. */
  readonly path: string;
  readonly lines: readonly string[];
  readonly blocks: readonly CodeBlock[];
  /** The lines outside of fences, empty where a block stands, so that places stay. */
  readonly prose: readonly string[];
}

const SKIPPED = new Set(['node_modules', 'dist', '.git']);

/** Every markdown file of the repository, without dependencies and build output. */
export function readPages(): readonly Page[] {
  return listPages(ROOT)
    .sort()
    .map((file) => toPage(relative(ROOT, file).split(sep).join('/'), readFileSync(file, 'utf8')));
}

/** The anchors that a page offers: its headings as GitHub writes them. */
export function anchorsOf(page: Page): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const line of page.prose) {
    const heading = /^#{1,6}\s+(.*?)\s*$/.exec(line)?.[1];
    if (heading !== undefined) {
      const slug = heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-');
      let unique = slug;
      for (let count = 1; anchors.has(unique); count++) {
        unique = `${slug}-${count}`;
      }
      anchors.add(unique);
    }
  }
  return anchors;
}

/** The rows of the first table under a heading, cell by cell, without the head. */
export function tableUnder(page: Page, heading: string): readonly (readonly string[])[] {
  const from = page.prose.findIndex((line) => /^#{1,6}\s/.test(line) && line.replace(/^#+\s+/, '') === heading);
  const rows: string[][] = [];
  for (const line of from < 0 ? [] : page.prose.slice(from + 1)) {
    if (line.startsWith('|')) {
      const cells = line.split(/(?<!\\)\|/).slice(1, -1);
      rows.push(cells.map((cell) => cell.trim()));
    } else if (rows.length > 0 || line.startsWith('#')) {
      break;
    }
  }
  return rows.slice(2);
}

function toPage(path: string, text: string): Page {
  const lines = text.split('\n');
  const blocks: CodeBlock[] = [];
  const prose: string[] = [];
  let open: { language: string; line: number } | undefined;
  for (const [index, line] of lines.entries()) {
    const fence = /^\s*```(\S*)/.exec(line);
    if (fence === null) {
      prose.push(open === undefined ? line : '');
      continue;
    }
    prose.push('');
    if (open === undefined) {
      open = { language: fence[1] ?? '', line: index + 1 };
    } else {
      blocks.push({ ...open, lines: lines.slice(open.line, index) });
      open = undefined;
    }
  }
  return { path, lines, blocks, prose };
}

function listPages(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return SKIPPED.has(entry.name)
      ? []
      : entry.isDirectory()
        ? listPages(path)
        : entry.name.endsWith('.md')
          ? [path]
          : [];
  });
}
