import process from 'node:process';
import { runCommand } from './doctor/command-line.js';

process.exitCode = await runCommand({
  arguments: process.argv.slice(2),
  url: process.env['DATABASE_URL'],
  print: (line) => process.stdout.write(`${line}\n`),
});
