// Real servers for a person: `npm run services:up`, `services:down`, `services:fetch`, each with an optional name. Where a Docker engine answers they
// are those of docker-compose.yml; elsewhere this starts what the tests start, to stay after the command has ended.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installMissingPackages } from './system-packages.mjs';

// The sources import one another by the names that they have when they are built.
registerHooks({
  resolve(specifier, context, next) {
    const ownSource = specifier.startsWith('.') && context.parentURL?.endsWith('.ts');
    return next(ownSource ? specifier.replace(/\.js$/, '.ts') : specifier, context);
  },
});
const { preparePulsar } = await import('../test/support/pulsar/runtime.ts');
const { archiveClasses } = await import('../test/support/pulsar/class-archive.ts');
const { PulsarStandalone } = await import('../test/support/pulsar/standalone.ts');
const { fetchRedis8 } = await import('../test/support/redis/redis-program.ts');
const { RedisSentinels } = await import('../test/support/redis/redis-sentinels.ts');
const { cacheFolder, isAlive } = await import('../test/support/process/cache-folder.ts');
const { isFree } = await import('../test/support/process/free-ports.ts');

const STOP_GRACE_MS = 20_000;
const USUAL_PORTS = { pulsar: [6650, 8080], redis: [6379, 6380, 6381, 26_379, 26_380, 26_381] };

const services = {
  pulsar: { up: pulsarUp, down: () => down('pulsar'), fetch: pulsarFetch },
  redis: { up: redisUp, down: () => down('redis'), fetch: redisFetch },
};
const [action = '', ...names] = process.argv.slice(2).filter((argument) => argument !== '--');
const known = Object.keys(services);
const unknown = names.filter((name) => !known.includes(name));
if (!['up', 'down', 'fetch'].includes(action) || unknown.length > 0) {
  fail(`Usage: npm run services:up|down|fetch [${known.join('|')}]`);
}
if (action === 'fetch' && process.env.REQUIRE_SERVICES === '1') {
  const { still, command } = installMissingPackages();
  if (still.length > 0) {
    fail(`The service suites need what is not here and could not be installed: ${command}`);
  }
}
for (const name of names.length > 0 ? names : known) {
  await services[name][action]();
}
// What was started stays; nothing of it may keep this process.
process.exit(0);

/** Brings the jars or the image, and what makes starts quicker, so that what can be slow happens when it is convenient. Nothing runs afterwards. */
async function pulsarFetch() {
  const { runtime } = await prepared();
  const quicker = await archiveClasses(runtime).catch((error) => {
    console.warn(`Its classes could not be prepared, so that each start takes longer: ${String(error)}`);
    return false;
  });
  console.log(`Pulsar can be started, on ${runtime.kind}${quicker ? ', with its classes prepared' : ''}.`);
}

async function pulsarUp() {
  const running = readState('pulsar');
  if (isOurs(running)) {
    console.log('Pulsar runs already.');
    return sayPulsar(running);
  }
  if (hasCompose()) {
    compose('up', '--detach', '--wait', 'pulsar');
    return sayPulsar({ serviceUrl: 'pulsar://127.0.0.1:6650', adminUrl: 'http://127.0.0.1:8080' });
  }
  const { runtime } = await prepared();
  const folder = dataFolder('pulsar');
  rmSync(folder, { recursive: true, force: true });
  const pulsar = await PulsarStandalone.start(runtime, {
    folder: dataFolder('pulsar'),
    detached: true,
    memoryMiB: 512,
    ...((await areFree(USUAL_PORTS.pulsar)) ? { preferredPorts: USUAL_PORTS.pulsar } : {}),
  });
  const { pid, serviceUrl, adminUrl, logFile } = pulsar;
  const state = { pids: [pid], folder, serviceUrl, adminUrl, logFile };
  writeState('pulsar', state);
  sayPulsar(state);
}

function sayPulsar({ serviceUrl, adminUrl, logFile }) {
  console.log(`PULSAR_URL=${serviceUrl}`);
  console.log(`PULSAR_URL=${adminUrl.replace('http', 'ws')}   (the same broker by WebSocket)`);
  console.log(`Admin API: ${adminUrl}/admin/v2${logFile === undefined ? '' : `   Log: ${logFile}`}`);
  console.log('Stop it and remove its data: npm run services:down pulsar');
}

/** A master, two replicas, and three sentinels that watch them. */
async function redisUp() {
  const running = readState('redis');
  if (isOurs(running)) {
    console.log('Redis runs already.');
    return sayRedis(running);
  }
  if (hasCompose()) {
    compose('up', '--detach', '--wait', 'redis');
    const [master, , , ...sentinels] = USUAL_PORTS.redis.map((port) => `127.0.0.1:${port}`);
    return sayRedis({ url: `redis+sentinel://${sentinels.join(',')}/main`, masterUrl: `redis://${master}` });
  }
  requireRedis();
  const folder = dataFolder('redis');
  rmSync(folder, { recursive: true, force: true });
  const set = await RedisSentinels.start({
    folder: dataFolder('redis'),
    detached: true,
    ...((await areFree(USUAL_PORTS.redis)) ? { preferredPorts: USUAL_PORTS.redis } : {}),
  });
  const { pids, url, masterUrl } = set;
  const state = { pids, folder, url, masterUrl };
  writeState('redis', state);
  sayRedis(state);
}

function sayRedis({ url, masterUrl }) {
  console.log(`REDIS_URL=${url}`);
  console.log(`REDIS_URL=${masterUrl}   (the master alone)`);
  console.log('Have a replica take over: redis-cli -p <port of a sentinel> SENTINEL FAILOVER main');
  console.log('Stop all six and remove their data: npm run services:down redis');
}

/** The image where there is an engine, and Redis 8 for the suites that run on both. */
async function redisFetch() {
  if (hasCompose()) {
    compose('pull', 'redis');
  } else {
    requireRedis();
  }
  console.log('Redis can be started.');
  try {
    const { version } = await fetchRedis8();
    console.log(`So can Redis ${version}, for tests.`);
  } catch (error) {
    console.log(`Redis 8, for tests, cannot: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function requireRedis() {
  if (spawnSync('redis-server', ['--version']).status !== 0) {
    fail(
      'There is no redis-server on the path: on Debian, apt-get install -y --no-install-recommends redis-server brings it',
    );
  }
}

async function down(name) {
  const title = name[0].toUpperCase() + name.slice(1);
  const state = readState(name);
  if (isOurs(state)) {
    await end(state);
    console.log(`${title} is stopped, its data is removed.`);
  } else if (hasCompose() && runsInCompose(name)) {
    compose('rm', '--stop', '--force', '--volumes', name);
  } else {
    console.log(`${title} does not run.`);
  }
  rmSync(stateFile(name), { force: true });
  rmSync(dataFolder(name), { recursive: true, force: true });
}

async function areFree(ports) {
  return (await Promise.all(ports.map((port) => isFree(port)))).every(Boolean);
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

function runsInCompose(name) {
  const { status, stdout } = spawnSync('docker', ['compose', 'ps', '--quiet', name], { encoding: 'utf8' });
  return status === 0 && stdout.trim() !== '';
}

function compose(...args) {
  const { status } = spawnSync('docker', ['compose', '--profile', 'services', ...args], { stdio: 'inherit' });
  if (status !== 0) {
    process.exit(status ?? 1);
  }
}

function dataFolder(name) {
  return cacheFolder('services', name);
}

function stateFile(name) {
  return join(cacheFolder('services'), `${name}.json`);
}

function readState(name) {
  return existsSync(stateFile(name)) ? JSON.parse(readFileSync(stateFile(name), 'utf8')) : undefined;
}

function writeState(name, state) {
  writeFileSync(stateFile(name), JSON.stringify(state, null, 2));
}

/** Process ids are given again: only processes that were started on our folder are ours. Files of earlier releases name one process. */
function ours({ pid, pids = pid === undefined ? [] : [pid], folder }) {
  return pids.filter((pid) => {
    const { stdout } = spawnSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
    return isAlive(pid) && (stdout ?? '').includes(folder);
  });
}

function isOurs(state) {
  return state !== undefined && ours(state).length > 0;
}

async function end(state) {
  ours(state).forEach((pid) => process.kill(pid, 'SIGTERM'));
  for (const deadline = performance.now() + STOP_GRACE_MS; isOurs(state); await sleep(100)) {
    if (performance.now() > deadline) {
      ours(state).forEach((pid) => process.kill(pid, 'SIGKILL'));
    }
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
