// Runs the benchmarks: all of them, or the named ones. Installs their peers when these are missing or out of date and builds the packages that
// they import, because they run on what users get: the built files.
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'test', 'bench');

/** Runs a command in sight of the user; ends with its exit code when it fails. */
function run(command, args, cwd = root) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
  if (error !== undefined) {
    console.error(`"${command}" cannot be started: ${error.message}`);
  }
  if (status !== 0) {
    process.exit(status ?? 1);
  }
}

const available = globSync('*.bench.ts', { cwd: folder }).map((file) => basename(file, '.bench.ts'));
const wanted = process.argv.slice(2).filter((argument) => argument !== '--');
const unknown = wanted.filter((name) => !available.includes(name));
if (unknown.length > 0) {
  console.error(`There is no benchmark "${unknown.join('", "')}". There are: ${available.toSorted().join(', ')}.`);
  process.exit(1);
}
const files = (wanted.length > 0 ? wanted : available.toSorted()).map((name) => join(folder, `${name}.bench.ts`));

const installed = join(folder, 'node_modules', '.package-lock.json');
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(folder, 'package-lock.json')).mtimeMs) {
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], folder);
}

const imported = files.flatMap((file) => readFileSync(file, 'utf8').match(/(?<=from '@smartpulse\/)[\w-]+/g) ?? []);
const projects = [...new Set(['resilience', ...imported])].map((name) => join('libs', name, 'tsconfig.lib.json'));
run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-b', ...projects]);

// Older versions of Node strip types only when asked to, and say then that it is an experiment.
const flags = ['--experimental-strip-types', '--disable-warning=ExperimentalWarning'];
for (const file of files) {
  run(process.execPath, [...flags, file]);
}
