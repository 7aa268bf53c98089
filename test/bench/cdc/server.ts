// The SQL test server in a process of its own, so that the processor time of its client is the client's alone: a job a line on the standard input.
import { registerHooks } from 'node:module';
import { createInterface } from 'node:readline';
import { SystemClock } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { type Job, nowNs, type Opened, quietTables, STOCK, type Written } from './job.ts';

// The support of the tests names its own files as they are called when they are built.
registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier.startsWith('.') && context.parentURL?.endsWith('.ts') ? specifier.replace(/\.js$/, '.ts') : specifier,
      context,
    ),
});
const { SqlServerEngine } = await import('../../support/sql-server/engine/sql-server.engine.ts');
const { startTestSqlServer } = await import('../../support/sql-server/start-sql-server.ts');
const { BIGINT, DATETIME2, decimal, INT, nvarchar } =
  await import('../../support/sql-server/engine/values/value-type.ts');

const engine = new SqlServerEngine({ clock: new SystemClock(), random: new SeededRandom() });
const shop = engine.createDatabase('shop');
shop.track();
shop.allowSnapshotIsolation = true;
const server = await startTestSqlServer({ engine });
let nextId = 0;

for await (const line of createInterface({ input: process.stdin })) {
  try {
    process.stdout.write(`${JSON.stringify(await answerTo(JSON.parse(line) as Job))}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`);
  }
}
await server.stop();
process.exit(0);

async function answerTo(job: Job): Promise<Opened | Written> {
  switch (job.kind) {
    case 'open': {
      const note = { ...nvarchar(200), nullable: true };
      const columns = { id: BIGINT, level: INT, price: decimal(18, 4), changed: DATETIME2, note, at: BIGINT };
      for (const name of [STOCK, ...quietTables(job.quietTables)]) {
        shop.createTable({ name, columns, primaryKey: ['id'] });
      }
      return { port: server.port, pid: process.pid };
    }
    case 'commit':
      for (let written = 0; written < job.rows; written += job.perTransaction) {
        write(Math.min(job.perTransaction, job.rows - written));
      }
      break;
    case 'steady':
    default:
      await steady(job.perSecond, job.seconds);
  }
  return { version: shop.version.toString() };
}

function write(rows: number): void {
  const at = nowNs();
  shop.write((transaction) => {
    for (let row = 0; row < rows; row++) {
      nextId++;
      const price = `${nextId % 10_000}.2500`;
      const changed = '2026-11-28 09:30:00.0000000';
      transaction.insert(STOCK, { id: nextId, level: nextId % 100, price, changed, note: `note of ${nextId}`, at });
    }
  });
}

async function steady(perSecond: number, seconds: number): Promise<void> {
  const startedMs = performance.now();
  for (let written = 0; written < perSecond * seconds;) {
    for (const due = Math.floor(((performance.now() - startedMs) / 1_000) * perSecond); written < due; written++) {
      write(1);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
