// Real servers for a person: `npm run services:up`, `services:down`, `services:fetch`, each with an optional name. Where a Docker engine answers they
// are those of docker-compose.yml; elsewhere this starts what the tests start, to stay after the command has ended.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// The sources import one another by the names that they have when they are built.
registerHooks({
  resolve(specifier, context, next) {
    const ownSource = specifier.startsWith('.') && context.parentURL?.endsWith('.ts');
    return next(ownSource ? specifier.replace(/\.js$/, '.ts') : specifier, context);
  },
});
const { preparePulsar } = await import('../test/support/pulsar/runtime.ts');
const { PulsarStandalone } = await import('../test/support/pulsar/standalone.ts');
const { cacheFolder, isAlive } = await import('../test/support/process/cache-folder.ts');
const { isFree } = await import('../test/support/process/free-ports.ts');

const STOP_GRACE_MS = 20_000;
const USUAL_PORTS = [6650, 8080];

const services = { pulsar: { up: pulsarUp, down: pulsarDown, fetch: pulsarFetch } };
const [action = '', ...names] = process.argv.slice(2).filter((argument) => argument !== '--');
const known = Object.keys(services);
const unknown = names.filter((name) => !known.includes(name));
if (!['up', 'down', 'fetch'].includes(action) || unknown.length > 0) {
  fail(`Usage: npm run services:up|down|fetch [${known.join('|')}]`);
}
for (const name of names.length > 0 ? names : known) {
  await services[name][action]();
}

/** Brings the jars or the image and starts nothing, so that what can be slow happens when it is convenient. */
async function pulsarFetch() {
  const { runtime } = await prepared();
  console.log(`Pulsar can be started, on ${runtime.kind}.`);
}

async function pulsarUp() {
  const running = readState();
  if (running !== undefined && isOurs(running)) {
    console.log('Pulsar runs already.');
    return say(running);
  }
  if (hasCompose()) {
    compose('up', '--detach', '--wait', 'pulsar');
    return say({ serviceUrl: 'pulsar://127.0.0.1:6650', adminUrl: 'http://127.0.0.1:8080' });
  }
  const { runtime } = await prepared();
  const folder = dataFolder();
  rmSync(folder, { recursive: true, force: true });
  const free = (await Promise.all(USUAL_PORTS.map((port) => isFree(port)))).every(Boolean);
  const pulsar = await PulsarStandalone.start(runtime, {
    folder: dataFolder(),
    detached: true,
    memoryMiB: 512,
    ...(free ? { preferredPorts: USUAL_PORTS } : {}),
  });
  const { pid, serviceUrl, adminUrl, logFile } = pulsar;
  const state = { pid, folder, serviceUrl, adminUrl, logFile };
  writeFileSync(stateFile(), JSON.stringify(state, null, 2));
  say(state);
  // The broker stays; nothing of it may keep this process.
  process.exit(0);
}

async function pulsarDown() {
  const state = readState();
  if (state !== undefined && isOurs(state)) {
    await end(state);
    console.log('Pulsar is stopped, its data is removed.');
  } else if (hasCompose() && runsInCompose()) {
    compose('rm', '--stop', '--force', '--volumes', 'pulsar');
  } else {
    console.log('Pulsar does not run.');
  }
  rmSync(stateFile(), { force: true });
  rmSync(dataFolder(), { recursive: true, force: true });
}

function say({ serviceUrl, adminUrl, logFile }) {
  console.log(`PULSAR_URL=${serviceUrl}`);
  console.log(`PULSAR_URL=${adminUrl.replace('http', 'ws')}   (the same broker by WebSocket)`);
  console.log(`Admin API: ${adminUrl}/admin/v2${logFile === undefined ? '' : `   Log: ${logFile}`}`);
  console.log('Stop it and remove its data: npm run services:down pulsar');
}

async function prepared() {
  const search = await preparePulsar();
  return search.available ? search : fail(search.reason);
}

/** Whether an engine answers that the services of docker-compose.yml can run on, and is not declined. */
function hasCompose() {
  const engine = () => spawnSync('docker', ['version', '--format', '{{.Server.Os}}']).status === 0;
  const plugin = () => spawnSync('docker', ['compose', 'version']).status === 0;
  return process.env.SERVICES_RUNTIME !== 'java' && engine() && plugin();
}

function runsInCompose() {
  const { status, stdout } = spawnSync('docker', ['compose', 'ps', '--quiet', 'pulsar'], { encoding: 'utf8' });
  return status === 0 && stdout.trim() !== '';
}

function compose(...args) {
  const { status } = spawnSync('docker', ['compose', '--profile', 'services', ...args], { stdio: 'inherit' });
  if (status !== 0) {
    process.exit(status ?? 1);
  }
}

function dataFolder() {
  return cacheFolder('services', 'pulsar');
}

function stateFile() {
  return join(cacheFolder('services'), 'pulsar.json');
}

function readState() {
  return existsSync(stateFile()) ? JSON.parse(readFileSync(stateFile(), 'utf8')) : undefined;
}

/** Process ids are given again: only a process that was started on our folder is ours. */
function isOurs({ pid, folder }) {
  const { stdout } = spawnSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
  return isAlive(pid) && (stdout ?? '').includes(folder);
}

async function end(state) {
  process.kill(state.pid, 'SIGTERM');
  for (const deadline = performance.now() + STOP_GRACE_MS; isOurs(state); await sleep(100)) {
    if (performance.now() > deadline) {
      process.kill(state.pid, 'SIGKILL');
    }
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
