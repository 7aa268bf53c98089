// Runs the example of a library on its sources, decorators and all; nothing has to be built.
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer, defaultServerConditions } from 'vite';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const library = process.argv[2] ?? '';
const files = /^[\w-]+$/.test(library) ? globSync(`libs/${library}/examples/*.example.ts`, { cwd: root }) : [];
if (files.length === 0) {
  const libraries = globSync('libs/*/examples', { cwd: root }).map((folder) => folder.split(/[\\/]/)[1]);
  console.error(`Say whose example: npm run example <library>. There are: ${libraries.toSorted().join(', ')}.`);
  process.exit(1);
}

const conditions = ['@smartpulse/source', ...defaultServerConditions];
// It serves nothing: what it is asked for here is to turn sources into modules.
const vite = await createServer({
  root,
  configFile: false,
  logLevel: 'warn',
  appType: 'custom',
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true, include: [] },
  resolve: { conditions },
  // Our own packages are read as sources; everybody else's are Node's to load.
  ssr: { noExternal: [/^@smartpulse\//], resolve: { conditions } },
});
try {
  for (const file of files.toSorted()) {
    await vite.ssrLoadModule(join(root, file));
  }
} finally {
  await vite.close();
}
