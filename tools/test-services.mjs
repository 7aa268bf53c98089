// Runs the suites that need a real server: all of them, or the named one. Without a server they are skipped with a sentence that says how to
// get it; under REQUIRE_SERVICES=1 that is a failure.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const suites = 'test/services';
const required = process.env.REQUIRE_SERVICES === '1';
const built = existsSync(suites)
  ? readdirSync(suites, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
  : [];
const [name, ...rest] = process.argv.slice(2).filter((argument) => argument !== '--');

if (name !== undefined && !name.startsWith('-') && !built.includes(name)) {
  console.error(
    `There is no service suite "${name}". ${built.length === 0 ? 'No adapter for a real server is built in yet' : `There are: ${built.join(', ')}`}; ` +
      'everything runs on the embedded parts, which "npm test" covers.',
  );
  process.exit(1);
}
if (built.length === 0) {
  console.log(
    'No adapter for a real server is built in yet, so there is no service suite to run; "npm test" covers the embedded parts.',
  );
  process.exit(required ? 1 : 0);
}

/** A suite by its name also runs what belongs to it and needs no server: in a run of all suites "npm test" has had that already. */
const alongside = new Map([['sql-server-wire', { projects: ['wire'], filters: ['test/wire/'] }]]);
const { projects = [], filters = [] } = alongside.get(name) ?? {};
if ((name === undefined || name === 'sql-server' || name.startsWith('-')) && !process.env.MSSQL_URL) {
  console.log(
    'The suites on a real SQL Server are skipped: set MSSQL_URL=mssql://sa:password@host:1433/master?encrypt=true&trustServerCertificate=true, ' +
      'with a login that may create databases. Each suite makes one of its own and drops it. The same suites run on the test server in "npm test".',
  );
}
const filter = name === undefined || name.startsWith('-') ? [] : [`${suites}/${name}/`, ...filters];
// One file after the other: each starts servers of its own, and servers that fight for the processor are slow to start.
const run = spawnSync(
  'vitest',
  [
    'run',
    ...['services', ...projects].flatMap((project) => ['--project', project]),
    '--no-file-parallelism',
    ...filter,
    ...(name?.startsWith('-') ? [name] : []),
    ...rest,
  ],
  { stdio: 'inherit' },
);
process.exit(run.status ?? 1);
