// What the service suites need of the system, and which package of Debian brings it.
import { spawnSync } from 'node:child_process';

const INSTALL_TIMEOUT_MS = 300_000;
const NEEDED = [
  { package: 'redis-server', probe: ['redis-server', '--version'] },
  { package: 'default-jdk-headless', probe: ['javac', '-version'] },
  { package: 'maven', probe: ['mvn', '--version'] },
  // The official Python client is installed into an environment of its own; Debian packs what makes one by itself.
  { package: 'python3-venv', probe: ['python3', '-c', 'import ensurepip, venv'] },
];

/** The packages whose program does not answer here. */
export function missingPackages() {
  return NEEDED.filter(({ probe: [command, ...args] }) => spawnSync(command, args).status !== 0).map(
    (needed) => needed.package,
  );
}

/**
 * Installs what is missing, where that is possible without asking: on Debian, as root. Returns what is missing afterwards, with the command that
 * brings it.
 */
export function installMissingPackages() {
  const missing = missingPackages();
  const canInstall = process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0;
  if (missing.length > 0 && canInstall) {
    console.log(`Installing ${missing.join(', ')}.`);
    // Daemons of these packages are not wanted, the suites start their own: the policy is that none is started.
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    const apt = (...args) => spawnSync('apt-get', args, { stdio: 'inherit', env, timeout: INSTALL_TIMEOUT_MS });
    apt('update', '--quiet');
    apt('install', '--quiet', '--yes', '--no-install-recommends', ...missing);
  }
  const still = missing.length > 0 ? missingPackages() : [];
  return { still, command: `apt-get install -y --no-install-recommends ${still.join(' ')}` };
}
