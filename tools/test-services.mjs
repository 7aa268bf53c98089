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
const alongside = new Map([
  ['pulsar-transports', ['libs/pulsar-wire/src/', 'test/contract/pulsar-transport.spec.ts']],
  [
    'pulsar',
    [
      'libs/pulsar/src/',
      'test/contract/pulsar-faults.spec.ts',
      'test/property/pulsar.spec.ts',
      'test/property/outbox-relay.spec.ts',
    ],
  ],
  [
    'redis',
    [
      'libs/redis-cache/src/',
      'test/contract/cache-store.spec.ts',
      'test/contract/channel-transport.spec.ts',
      'test/contract/invalidation-bus.spec.ts',
      'test/contract/record-store.spec.ts',
      'test/contract/two-replicas.spec.ts',
      'test/property/cache-',
      'test/property/outside-copy.spec.ts',
    ],
  ],
  [
    'sql-server-wire',
    [
      'libs/cdc/src/',
      'test/contract/cdc-embedded.spec.ts',
      'test/property/cdc/',
      'test/property/sql-server-looks.spec.ts',
      'test/services/sql-server-grammar/',
      'test/support/sql-server/',
      'test/wire/',
    ],
  ],
]);
if ((name === undefined || name === 'sql-server' || name.startsWith('-')) && !process.env.MSSQL_URL) {
  console.log(
    'The suites on a real SQL Server are skipped: set MSSQL_URL=mssql://sa:password@host:1433/master?encrypt=true&trustServerCertificate=true, ' +
      'with a login that may create databases. Each suite makes one of its own and drops it. The same suites run on the test server in "npm test".',
  );
}
const isNamed = name !== undefined && !name.startsWith('-');
/** Runs the files that a filter names, of the projects. */
function run(projects, filters, flags = []) {
  const named = projects.flatMap((project) => ['--project', project]);
  const options = name !== undefined && name.startsWith('-') ? [name, ...rest] : rest;
  return spawnSync('vitest', ['run', ...named, ...flags, ...filters, ...options], { stdio: 'inherit' }).status ?? 1;
}

// On a fresh machine nothing is here yet: what can be had is brought first.
if (required && spawnSync('npm', ['run', '--silent', 'services:fetch'], { stdio: 'inherit' }).status !== 0) {
  process.exit(1);
}
// Some suites start the built apps. They build, too, where they are run by themselves; two at once would write the same files.
if (spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' }).status !== 0) {
  process.exit(1);
}
const onServers = ['services', 'services-alone'];
const status = run(onServers, isNamed ? [`${suites}/${name}/`] : []);
const beside = alongside.get(name);
const statusBeside =
  beside === undefined ? 0 : run(['unit', 'contract', 'property', 'wire', ...onServers], beside, ['--passWithNoTests']);
process.exit(status === 0 ? statusBeside : status);
