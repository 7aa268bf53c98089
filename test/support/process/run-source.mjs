// Runs a source file of the repository in this process, decorators and all; nothing has to be built. The process lives as long as what it starts.
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createServer, defaultServerConditions } from 'vite';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const conditions = ['@smartpulse/source', ...defaultServerConditions];
const vite = await createServer({
  root,
  configFile: false,
  logLevel: 'warn',
  appType: 'custom',
  server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  optimizeDeps: { noDiscovery: true, include: [] },
  resolve: { conditions },
  ssr: { noExternal: [/^@smartpulse\//], resolve: { conditions } },
});
await vite.ssrLoadModule(resolve(root, process.argv[2] ?? ''));
await vite.close();
