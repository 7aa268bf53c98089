import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LIBRARIES, readSources, ROOT, type SourceFile } from './source-tree.js';

const sources = readSources('libs', 'apps');
const production = sources.filter(({ path }) => path.includes('/src/') && !path.endsWith('.spec.ts'));

/** Libraries for any Node project: no module, no injected options, no telemetry of their own. */
const WITHOUT_NEST: readonly string[] = ['pulsar-wire'];

describe('habits of the house', () => {
  it('asks nobody but the injected clock for the time', () => {
    expect(
      linesWith(
        withoutResilience(production),
        /\bDate\.now\(|\bperformance\.now\(|\bset(?:Timeout|Interval)\(|new Date\(\)/,
      ),
    ).toEqual([]);
  });

  it('asks nobody but the injected random source for chance', () => {
    expect(linesWith(withoutResilience(production), /\bMath\.random\(|\brandomUUID\(|\brandomBytes\(/)).toEqual([]);
  });

  it('reads the environment in the main files of apps and commands alone, and in one place whether this is production', () => {
    const elsewhere = production.filter(
      ({ path }) =>
        !/^(?:apps\/[^/]+\/src\/(?:main|smoke|environment)|libs\/cdc\/src\/sql-server\/main|libs\/redis-cache\/src\/cache\/deep-freeze)\.ts$/.test(
          path,
        ),
    );
    expect(linesWith(elsewhere, /\bprocess\.env\b/)).toEqual([]);
  });

  it('knows no untyped value and silences no check', () => {
    expect(linesWith(sources, /\bas unknown as\b|@ts-(?:ignore|expect-error|nocheck)|: any\b|<any>|as any\b/)).toEqual(
      [],
    );
  });

  it('swallows no error', () => {
    expect(
      linesWith(production, /catch \{\s*\}|catch \(\w*\) \{\s*\}|\.catch\(\(\) => (?:\{\s*\}|undefined|null)\)/),
    ).toEqual([]);
  });

  it('keeps every file short enough to need no map', () => {
    const long = production
      .filter(({ text }) => text.split('\n').length > 500)
      .map(({ path, text }) => `${path}: ${text.split('\n').length} lines`);
    expect(long).toEqual([]);
  });

  it('names tests as sentences about behaviour', () => {
    expect(
      linesWith([...sources, ...readSources('test')], /\b(?:it|test)(?:\.each\([^)]*\))?\(\s*['"`]should\b/),
    ).toEqual([]);
    expect(linesWith([...sources, ...readSources('test')], /\b(?:it|test|describe)\.only\(/)).toEqual([]);
  });

  it('gives every library the same skeleton', () => {
    const missing = LIBRARIES.flatMap((library) =>
      [
        'README.md',
        'package.json',
        'tsconfig.lib.json',
        'src/index.ts',
        `src/${library}.errors.ts`,
        'src/testing/index.ts',
        ...(WITHOUT_NEST.includes(library)
          ? []
          : [
              `src/${library}.module.ts`,
              `src/${library}.core.module.ts`,
              `src/${library}.options.ts`,
              `src/${library}.telemetry.ts`,
            ]),
      ]
        .filter((file) => !exists(join('libs', library, file)))
        .map((file) => `libs/${library}/${file}`),
    );
    expect(missing).toEqual([]);
    for (const library of LIBRARIES) {
      expect(
        readdirSync(join(ROOT, 'libs', library, 'examples')).filter((file) => file.endsWith('.example.ts')),
      ).not.toEqual([]);
    }
  });

  it('keeps the libraries for any Node project free of dependencies', () => {
    for (const library of WITHOUT_NEST) {
      const manifest = JSON.parse(readFileSync(join(ROOT, 'libs', library, 'package.json'), 'utf8')) as object;
      expect(Object.keys(manifest).filter((key) => /dependencies/i.test(key))).toEqual([]);
    }
  });

  it('keeps the main entry of a library a table of contents', () => {
    const logic = LIBRARIES.flatMap((library) => {
      const text = readFileSync(join(ROOT, 'libs', library, 'src/index.ts'), 'utf8');
      return /export \*|^(?:const|let|function|class|export (?:const|function|class))/m.test(text) ? [library] : [];
    });
    expect(logic).toEqual([]);
  });
});

function withoutResilience(files: readonly SourceFile[]): readonly SourceFile[] {
  return files.filter(({ path }) => !path.startsWith('libs/resilience/'));
}

/** The offending lines, comments left out. */
function linesWith(files: readonly SourceFile[], pattern: RegExp): readonly string[] {
  return files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .map((line, index) => ({ line, place: `${path}:${index + 1}` }))
      .filter(({ line }) => !/^\s*(?:\*|\/\/|\/\*)/.test(line) && pattern.test(line))
      .map(({ line, place }) => `${place} ${line.trim()}`),
  );
}

function exists(path: string): boolean {
  try {
    readFileSync(join(ROOT, path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return false;
    }
    throw error;
  }
}
