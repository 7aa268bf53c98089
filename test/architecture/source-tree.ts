import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** The libraries, by folder name. */
export const LIBRARIES: readonly string[] = readdirSync(join(ROOT, 'libs')).sort();

/** One import or re-export. */
export interface SourceImport {
  readonly specifier: string;
  /** The whole statement takes types only. */
  readonly typeOnly: boolean;
  /** Loaded when the code runs, not with the file. */
  readonly lazy: boolean;
}

/** One TypeScript file and what it imports. */
export interface SourceFile {
  /** Path from the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly SourceImport[];
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;

/** Every TypeScript file below the given folders of the repository, without dependencies and build output. */
export function readSources(...folders: readonly string[]): readonly SourceFile[] {
  return folders
    .flatMap((folder) => listFiles(join(ROOT, folder)))
    .map((file) => {
      const text = readFileSync(file, 'utf8');
      const code = text.replace(/^\s*\*.*$|^\s*\/\/.*$|\/\*\*.*?\*\//gm, '');
      const imports = [...code.matchAll(IMPORT)].map((match) => ({
        specifier: match[2] ?? match[3] ?? '',
        typeOnly: match[1] !== undefined,
        lazy: match[3] !== undefined,
      }));
      return { path: relative(ROOT, file).split(sep).join('/'), text, imports };
    });
}

/** The file that a relative import leads to, as a path from the root. */
export function resolveRelative(file: SourceFile, specifier: string): string {
  const target = relative(ROOT, resolve(ROOT, dirname(file.path), specifier))
    .split(sep)
    .join('/');
  return target.replace(/\.js$/, '.ts');
}

function listFiles(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'dist') {
      return [];
    }
    const path = join(folder, entry.name);
    return entry.isDirectory()
      ? listFiles(path)
      : entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts')
        ? [path]
        : [];
  });
}
