import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative, resolve, sep } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ProcessOptions, StartedProcess } from './started-process.js';

const ROOT = resolve(import.meta.dirname, '../..');
const APPS = ['production-forecast', 'notification-service'] as const;
const SERIES = '/api/v2.0/production-forecast/FinalForecast/PP/1/forecasts';
const STACK = /^\s+at .+:\d+:\d+\)?$/m;

const started: StartedProcess[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((process) => process.clear()));
});

function start(command: string, args: readonly string[], options: Partial<ProcessOptions> = {}): StartedProcess {
  const process = new StartedProcess(command, args, { cwd: ROOT, ...options });
  started.push(process);
  return process;
}

const startApp = (app: string, env: Readonly<Record<string, string | undefined>>): StartedProcess =>
  start(process.execPath, ['--enable-source-maps', join('apps', app, 'dist', 'main.js')], { env });

/** What nothing that stops or starts well writes. */
function expectNoTrouble(output: string): void {
  expect(output).not.toMatch(/\b(?:ERROR|FATAL|WARN)\b|[Uu]nhandled/);
  expect(output).not.toMatch(STACK);
}

function quarters(round: number): string {
  const at = (index: number): string => new Date(Date.UTC(2026, 0, 31) + index * 900_000).toISOString();
  const forecasts = Array.from({ length: 96 }, (_, index) => ({
    deliveryStart: at(index),
    deliveryEnd: at(index + 1),
    value: round,
  }));
  return JSON.stringify({ forecasts });
}

describe('the built apps', () => {
  it('stop the demo in the middle of its feed on SIGTERM: in time, with code 0, and it says that nothing is left over', async () => {
    const demo = startApp('demo', { PORT: '0', NOTIFICATION_PORT: '0' });
    await demo.until(/bulk \d+\/\d+ requests · [1-9]\d* rows/);
    const receivedMs = performance.now();
    demo.kill('SIGTERM');
    const { code, output } = await demo.ended;

    expect(performance.now() - receivedMs).toBeLessThan(30_000);
    expect(code).toBe(0);
    expect(output).toMatch(/Stopped cleanly, nothing left over: [1-9]\d* rows are committed\.\n$/);
    expectNoTrouble(output);
  });

  it('end "npm run demo" on Ctrl+C, which npm, the shell and Node all get, without a process or a stack trace left', async () => {
    const demo = start('npm', ['run', '--silent', 'demo'], { env: { PORT: '0', NOTIFICATION_PORT: '0' } });
    await demo.until(/bulk \d+\/\d+ requests · [1-9]\d* rows/);
    demo.killGroup('SIGINT');
    // npm may forward it once more: an echo is no second Ctrl+C.
    demo.killGroup('SIGINT');
    const { output } = await demo.ended;

    expect(demo.groupRuns).toBe(false);
    expect(output).toMatch(/Stopped cleanly, nothing left over/);
    expect(output).not.toMatch(STACK);
  });

  it('end the demo when one of its ports is taken, although the other app listens already', async () => {
    const first = startApp('demo', { PORT: '0', NOTIFICATION_PORT: '0' });
    const [, port = ''] = await first.until(/NotificationService\s+http:\/\/127\.0\.0\.1:(\d+)/);
    const second = startApp('demo', { PORT: '0', NOTIFICATION_PORT: port });
    const { code, output } = await second.ended;

    expect(code).toBe(1);
    expect(output).toContain(`address already in use 127.0.0.1:${port}`);
  });

  it.each(APPS)('stop %s on SIGTERM with requests on their way, and answer every one that was taken', async (app) => {
    const service = startApp(app, { PORT: '0' });
    const [, url = ''] = await service.until(/Listening on (http:\S+)/);
    const answers: number[] = [];
    const refused: unknown[] = [];
    const stopped = new AbortController();
    const ask = async (): Promise<void> => {
      for (let round = 1; !stopped.signal.aborted; round++) {
        const request =
          app === 'production-forecast'
            ? fetch(url + SERIES, {
                method: 'POST',
                headers: { 'content-type': 'application/json' },
                body: quarters(round),
              })
            : fetch(`${url}/api/notification/notifications`);
        await request.then(
          (response) => answers.push(response.status),
          (error: unknown) => {
            refused.push(error);
            stopped.abort();
          },
        );
        if (answers.length === 20) {
          service.kill('SIGTERM');
        }
      }
    };
    await Promise.all(Array.from({ length: 4 }, ask));
    const { code, output } = await service.ended;

    expect(code).toBe(0);
    expect(output).toContain('SIGTERM received, stopping.');
    expect(output).toContain('Stopped cleanly.');
    expectNoTrouble(output);
    expect(answers.filter((status) => status !== 200 && status !== 503)).toEqual([]);
    // What was not answered found the port closed, or its idle connection: the one was refused, the other never read.
    const causes = refused.map((error) =>
      String((error as { readonly cause?: { readonly code?: string } }).cause?.code),
    );
    expect(causes.filter((cause) => !['ECONNREFUSED', 'ECONNRESET', 'UND_ERR_SOCKET'].includes(cause))).toEqual([]);
  });

  it.each([
    ['production-forecast', { PORT: '70000' }, ['"PORT"', 'a port from 0 to 65535']],
    ['production-forecast', { REDIS_URL: 'memcached://user:hunter2@cache:11211' }, ['"REDIS_URL"', 'leave it unset']],
    ['production-forecast', { PULSAR_URL: 'pulsar://token:hunter2@bus' }, ['"PULSAR_URL"', 'leave it unset']],
    [
      'notification-service',
      { DATABASE_URL: 'postgres://sa:hunter2@db/x' },
      ['"DATABASE_URL"', 'mssql:', 'leave it unset'],
    ],
    ['notification-service', { NODE_ENV: 'production' }, ['"DATABASE_URL"', '"PULSAR_URL"', 'ALLOW_EMBEDDED']],
    ['notification-service', { PORT: 'hunter2' }, ['"PORT"', 'a port from 0 to 65535']],
    ['demo', { NOTIFICATION_PORT: 'hunter2' }, ['"NOTIFICATION_PORT"', 'a port from 0 to 65535']],
    ['demo', { DEMO_DATA: '/nowhere/at/all.csv' }, ['"DEMO_DATA"', 'Name another file']],
  ] as const)(
    'end %s under %o with one error that names the option and the remedy, and no secret',
    async (app, env, says) => {
      const { code, output } = await startApp(app, env).ended;

      expect(code).toBe(1);
      expect(output.trimEnd().split('\n')).toHaveLength(1);
      expect(output).toContain('The environment: option');
      says.forEach((words) => expect(output).toContain(words));
      expect(output).toMatch(/start again\.|generated data\./);
      expect(output).not.toContain('hunter2');
    },
  );
});

/** The project as a commit of now would hold it, without anything built or installed. */
describe('a copy of the project', () => {
  let folder: string;
  let copy: string;
  /** This Node first, and none that the project has installed. */
  let ownNode: string;

  const commandsOfTheMachine = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((path) => !path.includes('node_modules'))
    .join(delimiter);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartpulse-copy-'));
    copy = join(folder, 'project');
    const left = new Set(['node_modules', 'dist', '.git']);
    await cp(ROOT, copy, {
      recursive: true,
      filter: (path) =>
        !relative(ROOT, path)
          .split(sep)
          .some((part) => left.has(part)),
    });
    ownNode = join(folder, 'bin');
    await mkdir(ownNode);
    await symlink(process.execPath, join(ownNode, 'node'));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs a command in the copy, as a newcomer's shell does: nothing that npm has set for these tests is passed on. */
  function run(command: string, args: readonly string[], path: string): StartedProcess {
    const fromNpm = Object.keys(process.env).filter((name) => /^(?:npm_|NODE_ENV$|VITEST)/.test(name));
    const env = { ...Object.fromEntries(fromNpm.map((name) => [name, undefined])), PATH: path };
    return start(command, args, { cwd: copy, env });
  }
  const withOwnNode = (command: string, ...args: readonly string[]): StartedProcess =>
    run(command, args, `${ownNode}${delimiter}${commandsOfTheMachine}`);

  const older = commandsOfTheMachine
    .split(delimiter)
    .map((path) => join(path, 'node'))
    .filter((path) => existsSync(path))
    .find((path) => isOlder(execFileSync(path, ['--version'], { encoding: 'utf8' })));

  it('says in one sentence under an older Node which one it needs and how to get it', async (context) => {
    if (older === undefined) {
      context.skip('There is no Node older than 22.16 on this machine.');
      return;
    }
    const { code, output } = await run(older, ['tools/require-node.mjs'], commandsOfTheMachine).ended;

    expect(code).toBe(1);
    expect(output.trimEnd().split('\n')).toHaveLength(1);
    expect(output).toMatch(
      /^Node \d+\.\d+\.\d+ is too old, this project needs 22\.16 or later: run "npm ci".* or install Node 24/,
    );
  });

  it('installs with all install scripts refused', async () => {
    const { code, output } = await withOwnNode('npm', 'ci', '--ignore-scripts', '--prefer-offline').ended;

    expect(output).not.toMatch(/npm error/);
    expect(code).toBe(0);
  });

  it('then says under an older Node what "npm run build" needs', async (context) => {
    if (older === undefined) {
      context.skip('There is no Node older than 22.16 on this machine.');
      return;
    }
    const { code, output } = await run(
      'npm',
      ['run', '--silent', 'build'],
      `${dirname(older)}${delimiter}${commandsOfTheMachine}`,
    ).ended;

    expect(code).toBe(1);
    expect(output).toMatch(/is too old, this project needs/);
    expect(output).not.toMatch(STACK);
  });

  it.each(['build', 'start'])('names "npm run build" when "nest %s" comes before it', async (what) => {
    const { code, output } = await withOwnNode('npx', 'nest', what, 'production-forecast').ended;

    expect(code).toBe(1);
    expect(output).toContain('run "npm run build" once, then try again.');
    expect(output).not.toMatch(STACK);
    expect(output).not.toMatch(/error TS/);
  });

  it('builds', async () => {
    const { code, output } = await withOwnNode('npm', 'run', '--silent', 'build').ended;

    expect(output).toBe('');
    expect(code).toBe(0);
  });

  it('then builds an app by "nest build"', async () => {
    await rm(join(copy, 'apps/notification-service/dist'), { recursive: true });
    const { code, output } = await withOwnNode('npx', 'nest', 'build', 'notification-service').ended;

    expect(output).not.toMatch(/error/i);
    expect(code).toBe(0);
    expect(existsSync(join(copy, 'apps/notification-service/dist/main.js'))).toBe(true);
  });

  it('then starts an app by "nest start", and Ctrl+C leaves nothing running', async () => {
    const service = withOwnNode('env', 'PORT=0', 'npx', 'nest', 'start', 'production-forecast');
    const [, url = ''] = await service.until(/Listening on (http:\S+)/);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    service.killGroup('SIGINT');
    const { output } = await service.ended;

    expect(output).toContain('Stopped cleanly.');
    expectNoTrouble(output);
    expect(service.groupRuns).toBe(false);
  });
});

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.replace('v', '').split('.').map(Number);
  return major < 22 || (major === 22 && minor < 16);
}
