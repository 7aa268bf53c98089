import { describe, expect, it } from 'vitest';
import { LIBRARIES, readSources, resolveRelative, type SourceFile } from './source-tree.js';

/** Who may import whom: the whole of it. What is not listed is forbidden. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  resilience: [],
  batch: ['resilience'],
  health: ['resilience'],
  'pulsar-wire': [],
  pulsar: ['pulsar-wire', 'batch', 'resilience'],
  'redis-cache': ['batch', 'resilience'],
  cdc: ['batch', 'resilience'],
  'data-sync': ['cdc', 'pulsar', 'redis-cache', 'batch', 'resilience'],
};

/** Packages that a library's main entry must not load: they are optional, or only for tests. */
const NOT_IN_MAIN_ENTRY = [
  'typeorm',
  '@nestjs/typeorm',
  '@nestjs/schedule',
  'cron',
  'ioredis',
  'mssql',
  'vitest',
  'fast-check',
];

const sources = readSources('libs', 'apps');
const inSource = sources.filter(({ path }) => !path.endsWith('.spec.ts') && path.includes('/src/'));

describe('who may import whom', () => {
  it('covers every library', () => {
    expect(LIBRARIES).toEqual(Object.keys(ALLOWED).sort());
  });

  it('lets a library import only the libraries below it', () => {
    const wrong = inSource.flatMap((file) => {
      const library = libraryOf(file);
      return library === undefined
        ? []
        : packagesOf(file)
            .filter((name) => name !== library && !(ALLOWED[library] ?? []).includes(name))
            .map(
              (name) =>
                `${file.path} imports @smartpulse/${name}: ${library} may import ${(ALLOWED[library] ?? []).join(', ') || 'nothing'}`,
            );
    });
    expect(wrong).toEqual([]);
  });

  it('lets one app import only the contract of another, except for the demo', () => {
    const wrong = inSource.flatMap((file) => {
      const app = /^apps\/([^/]+)\//.exec(file.path)?.[1];
      const apps = ['production-forecast', 'notification-service', 'demo'];
      return app === undefined || app === 'demo'
        ? []
        : packagesOf(file)
            .filter((name) => apps.includes(name) && name !== app)
            .map((name) => `${file.path} imports the app ${name}`);
    });
    expect(wrong).toEqual([]);
  });

  it('goes through the exports of a package, never deep into it and never around it', () => {
    const wrong = [...sources, ...readSources('test')].flatMap((file) =>
      file.imports
        .map(({ specifier }) => specifier)
        .filter(
          (specifier) =>
            /^@smartpulse\/[^/]+\/(?:src|dist|.*\.js$)/.test(specifier) ||
            (specifier.startsWith('.') && packageOf(resolveRelative(file, specifier)) !== packageOf(file.path)),
        )
        .map((specifier) => `${file.path} imports ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  it('keeps test kits out of what users run', () => {
    const wrong = inSource
      .filter(({ path }) => !path.includes('/src/testing/'))
      .flatMap((file) =>
        file.imports
          .map(({ specifier }) => specifier)
          .filter((specifier) => /(?:^|\/)testing(?:\/|$)/.test(specifier) && specifier !== '@nestjs/testing')
          .map((specifier) => `${file.path} imports ${specifier}`),
      );
    expect(wrong).toEqual([]);
  });

  it('loads no optional package from the main entry of a library', () => {
    const byPath = new Map(sources.map((file) => [file.path, file]));
    const wrong = LIBRARIES.flatMap((library) =>
      reachable(`libs/${library}/src/index.ts`, byPath).flatMap((file) =>
        file.imports
          .filter(({ specifier, typeOnly, lazy }) => !typeOnly && !lazy && NOT_IN_MAIN_ENTRY.includes(specifier))
          .filter(({ specifier }) => !takesTypesOnly(file, specifier))
          .map(({ specifier }) => `${file.path} loads ${specifier}`),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it('has no import cycle', () => {
    const byPath = new Map(sources.map((file) => [file.path, file]));
    const cycles = new Set<string>();
    const done = new Set<string>();
    const visit = (file: SourceFile, trail: readonly string[]): void => {
      const seen = trail.indexOf(file.path);
      if (seen >= 0) {
        cycles.add([...trail.slice(seen), file.path].join(' → '));
        return;
      }
      if (done.has(file.path)) {
        return;
      }
      for (const { specifier, typeOnly } of file.imports) {
        const next = specifier.startsWith('.') && !typeOnly ? byPath.get(resolveRelative(file, specifier)) : undefined;
        if (next !== undefined) {
          visit(next, [...trail, file.path]);
        }
      }
      done.add(file.path);
    };
    for (const file of sources) {
      visit(file, []);
    }
    expect([...cycles]).toEqual([]);
  });
});

function libraryOf({ path }: SourceFile): string | undefined {
  return /^libs\/([^/]+)\//.exec(path)?.[1];
}

function packageOf(path: string): string {
  return /^(?:libs\/[^/]+|apps\/[^/]+\/contract|apps\/[^/]+|test)/.exec(path)?.[0] ?? path;
}

function packagesOf(file: SourceFile): readonly string[] {
  return file.imports.flatMap(({ specifier }) => /^@smartpulse\/([^/]+)/.exec(specifier)?.[1] ?? []);
}

/** Every name that the statement takes is marked as a type. */
function takesTypesOnly(file: SourceFile, specifier: string): boolean {
  const escaped = specifier.replace(/[/-]/g, '\\$&');
  const names = new RegExp(`import\\s+\\{([^}]*)\\}\\s+from\\s+['"]${escaped}['"]`).exec(file.text)?.[1];
  return names !== undefined && names.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type '));
}

function reachable(start: string, byPath: ReadonlyMap<string, SourceFile>): readonly SourceFile[] {
  const found = new Map<string, SourceFile>();
  const open = [start];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const file = byPath.get(path);
    if (file === undefined || found.has(path)) {
      continue;
    }
    found.set(path, file);
    open.push(
      ...file.imports
        .filter(({ specifier, typeOnly, lazy }) => specifier.startsWith('.') && !typeOnly && !lazy)
        .map(({ specifier }) => resolveRelative(file, specifier)),
    );
  }
  return [...found.values()];
}
