import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const KEPT_LOGS = 30;

/** What is fetched once and kept between runs, outside the work tree: `SMARTPULSE_CACHE`, or `smartpulse` in the user's cache folder. */
export function cacheFolder(...parts: readonly string[]): string {
  const root =
    process.env['SMARTPULSE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'smartpulse');
  const folder = join(root, ...parts);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A log file for one server of this run. The newest thirty of all runs are kept, for those that failed. */
export function logFileFor(name: string): string {
  const folder = cacheFolder('logs');
  const files = readdirSync(folder)
    .map((file) => join(folder, file))
    .map((path) => ({ path, changedMs: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.changedMs - a.changedMs);
  for (const { path } of files.slice(KEPT_LOGS - 1)) {
    rmSync(path, { force: true });
  }
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
  return join(folder, `${stamp}-${process.pid}-${name}.log`);
}

const RUN_PREFIX = 'smartpulse-run-';
let runs = 0;

/** An empty folder for the data of one server. Those that runs left behind when they were killed are removed on the way. */
export function runFolder(name: string): string {
  for (const entry of readdirSync(tmpdir())) {
    const owner = entry.startsWith(RUN_PREFIX) ? Number(entry.slice(RUN_PREFIX.length).split('-')[0]) : Number.NaN;
    if (Number.isInteger(owner) && !isAlive(owner)) {
      rmSync(join(tmpdir(), entry), { recursive: true, force: true });
    }
  }
  runs += 1;
  const folder = join(tmpdir(), `${RUN_PREFIX}${process.pid}-${runs}-${name}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

/** Whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
