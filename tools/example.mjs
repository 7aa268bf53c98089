// Runs the example of a library on its sources, decorators and all; nothing has to be built.
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultServerConditions, runnerImport } from 'vite';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const library = process.argv[2] ?? '';
const files = /^[\w-]+$/.test(library) ? globSync(`libs/${library}/examples/*.example.ts`, { cwd: root }) : [];
if (files.length === 0) {
  const libraries = globSync('libs/*/examples', { cwd: root }).map((folder) => folder.split(/[\\/]/)[1]);
  console.error(`Say whose example: npm run example <library>. There are: ${libraries.toSorted().join(', ')}.`);
  process.exit(1);
}

const conditions = ['@smartpulse/source', ...defaultServerConditions];
for (const file of files.toSorted()) {
  await runnerImport(join(root, file), {
    root,
    configFile: false,
    logLevel: 'warn',
    resolve: { conditions },
    ssr: { resolve: { conditions } },
  });
}
