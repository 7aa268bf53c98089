import { execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');

/** What a user installs beside the libraries: their peers, and what compiles the app. */
const USERS_OWN = [
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/platform-express',
  '@nestjs/terminus',
  '@opentelemetry/api',
  '@types/node',
  'reflect-metadata',
  'rxjs',
  'typescript',
];

describe('a fresh Nest app that installs the packed libraries', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartpulse-consumer-'));
    const packed = join(folder, 'packed');
    const app = join(folder, 'app');
    await mkdir(packed);
    await mkdir(app);
    const libraries = await readdir(join(ROOT, 'libs'));
    await run('npm', ['pack', '--silent', '--pack-destination', packed, ...libraries.map((name) => `./libs/${name}`)], {
      cwd: ROOT,
    });
    const archives = await readdir(packed);
    expect(archives).toHaveLength(libraries.length);

    const dependencies = Object.fromEntries(
      await Promise.all(USERS_OWN.map(async (name) => [name, await installedVersion(name)])),
    );
    await writeFile(
      join(app, 'package.json'),
      JSON.stringify({ name: 'consumer', private: true, type: 'module', dependencies }),
    );
    await copyFile(join(ROOT, 'test/consumer/app/tsconfig.json'), join(app, 'tsconfig.json'));
    await copyFile(join(ROOT, 'test/consumer/app/identity.ts'), join(app, 'identity.ts'));
    await writeFile(join(app, 'first-example.ts'), await firstExample());
    await run('npm', ['install', '--no-audit', '--no-fund', ...archives.map((name) => join(packed, name))], {
      cwd: app,
    });
    await run(process.execPath, [join(app, 'node_modules/typescript/bin/tsc'), '-p', '.'], { cwd: app }).catch(
      (error: unknown) => {
        throw new Error(`The app does not compile: ${(error as { readonly stdout?: string }).stdout ?? ''}`, {
          cause: error,
        });
      },
    );
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('has each port once, whichever package it comes through', async () => {
    const { stdout } = await run(process.execPath, ['dist/identity.js'], { cwd: join(folder, 'app') });

    expect(JSON.parse(stdout)).toEqual({
      oneClock: true,
      onePulsarTransport: true,
      oneCacheStore: true,
      batchFindsTheClock: true,
      entries: true,
    });
  });

  it('has the command that looks at a database, which says what it lacks where nobody told it which one', async () => {
    const { DATABASE_URL: _, ...env } = process.env;
    const answer = await run('npx', ['--no-install', 'smartpulse-cdc', 'doctor', 'dbo.stock'], {
      cwd: join(folder, 'app'),
      env,
    }).then(
      () => undefined,
      (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => error,
    );

    expect(answer?.code).toBe(2);
    expect(answer?.stdout).toContain('DATABASE_URL: it is not set; expected mssql://user:password@host:1433/database');
    expect(answer?.stderr).toBe('');
  });

  it('runs the first example of the README and stops on SIGTERM', async () => {
    const child = spawn(process.execPath, ['dist/first-example.js'], { cwd: join(folder, 'app') });
    let output = '';
    const ended = new Promise<number | NodeJS.Signals | null>((done) =>
      child.once('exit', (code, signal) => done(code ?? signal)),
    );
    await new Promise<void>((done, failed) => {
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (output.includes('a mail for order 7')) {
          done();
        }
      });
      child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
      child.once('exit', () => failed(new Error(`It ended before it said what it should: ${output}`)));
    });

    child.kill('SIGTERM');

    expect([0, 143, 'SIGTERM']).toContain(await ended);
    expect(output).not.toMatch(/ERROR|unhandled/i);
  });
});

async function firstExample(): Promise<string> {
  const block = /```ts\n(.*?)```/s.exec(await readFile(join(ROOT, 'README.md'), 'utf8'))?.[1];
  if (block === undefined) {
    throw new Error('The README has no TypeScript example.');
  }
  return block;
}

async function installedVersion(name: string): Promise<string> {
  const manifest = await readFile(join(ROOT, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}
