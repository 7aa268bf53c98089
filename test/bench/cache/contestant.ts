// One cache in a process of its own: a job a line on the standard input, its figures on the output.
import { createInterface } from 'node:readline';
import type { Job, Lags, Settings, Stampeded, Taken, Weight } from './job.ts';
import { type FirstLevelSize, type Open, type Subject, type Value, valueOf } from './subject.ts';
import { SUBJECTS } from './subjects.ts';

const [name = '', settingsText = '{}'] = process.argv.slice(2);
const settings = JSON.parse(settingsText) as Settings;
/** Few enough to be in everybody's processor cache. */
const KEYS = Array.from({ length: 256 }, (_, index) => `key-${index}`);
const opened = new Map<FirstLevelSize, Subject>();
let open: Open | undefined;

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answerTo(JSON.parse(line) as Job))}\n`);
}
process.exit(0);

async function answerTo(job: Job): Promise<object> {
  try {
    open ??= await SUBJECTS[name]?.();
    return await run(job);
  } catch (error) {
    return { error: error instanceof Error ? String(error.stack) : String(error) };
  }
}

async function subject(firstLevel: FirstLevelSize): Promise<Subject> {
  let found = opened.get(firstLevel);
  if (found === undefined) {
    if (open === undefined) {
      throw new Error(`There is no subject "${name}"`);
    }
    found = await open(settings, firstLevel);
    for (const key of KEYS) {
      await found.put(key);
    }
    opened.set(firstLevel, found);
  }
  return found;
}

async function run(job: Job): Promise<Taken | Stampeded | Lags | Weight | object> {
  switch (job.kind) {
    case 'open':
      await subject('large');
      break;
    case 'near':
      return near(await subject('large'), job.operations);
    case 'peek':
      return peek(await subject('large'), job.operations);
    case 'far':
      return far(await subject('least'), job.operations, job.inFlight);
    case 'write':
      return write(await subject('least'), job.operations, job.inFlight);
    case 'stampede':
      return stampede(await subject('large'), job);
    case 'invalidation':
      return invalidation(await subject('large'), job.samples);
    case 'memory':
      return memory(job.entries);
  }
  return {};
}

function keyAt(index: number): string {
  return KEYS[index & 255] ?? '';
}

async function near(of: Subject, operations: number): Promise<Taken> {
  const stop = stopwatch();
  for (let done = 0; done < operations; done++) {
    if ((await of.read(keyAt(done))) === undefined) {
      throw new Error('A key is missing.');
    }
  }
  return stop();
}

async function peek(of: Subject, operations: number): Promise<Taken> {
  const stop = stopwatch();
  for (let done = 0; done < operations; done++) {
    if (of.peek?.(keyAt(done)) === undefined) {
      throw new Error('A key is missing.');
    }
  }
  return stop();
}

/** So many callers, each of which waits for its answer and asks again. */
async function atOnce(operations: number, inFlight: number, one: (index: number) => Promise<unknown>): Promise<Taken> {
  let begun = 0;
  const stop = stopwatch();
  const caller = async (): Promise<void> => {
    while (begun < operations) {
      await one(begun++);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  return stop();
}

function far(of: Subject, operations: number, inFlight: number): Promise<Taken> {
  return atOnce(operations, inFlight, async (index) => {
    if ((await of.read(keyAt(index)))?.rows.length !== 50) {
      throw new Error('A key is missing.');
    }
  });
}

async function write(of: Subject, operations: number, inFlight: number): Promise<Taken> {
  const values = KEYS.map(valueOf);
  const outcomes = new Set<unknown>();
  const taken = await atOnce(operations, inFlight, async (index) => {
    const outcome = await of.write?.(keyAt(index), values[index & 255] ?? valueOf(''));
    if (typeof outcome === 'string') {
      outcomes.add(outcome);
    }
  });
  if ([...outcomes].some((outcome) => outcome !== 'applied' && outcome !== 'OK')) {
    throw new Error(`Not every write was accepted: ${[...outcomes].join()}`);
  }
  return taken;
}

async function stampede(of: Subject, job: Job & { kind: 'stampede' }): Promise<Stampeded> {
  let loads = 0;
  const loader = async (): Promise<Value> => {
    loads++;
    await new Promise((resolve) => setTimeout(resolve, job.loadMs));
    return valueOf(job.key);
  };
  const answers = await Promise.all(Array.from({ length: job.callers }, async () => of.load?.(job.key, loader)));
  return { loads, answers: answers.filter((answer) => answer?.id === job.key).length };
}

async function invalidation(of: Subject, samples: number): Promise<Lags> {
  if (open === undefined) {
    throw new Error('Nothing is open.');
  }
  const other = await open(settings, 'large');
  const lagsMs: number[] = [];
  for (let sample = 0; sample < samples; sample++) {
    const key = keyAt(sample);
    await of.put(key);
    await other.read(key);
    lagsMs.push((await of.lag?.(key, other)) ?? Number.NaN);
  }
  await other.close();
  return { lagsMs: lagsMs.toSorted((a, b) => a - b) };
}

async function memory(entries: number): Promise<Weight> {
  const of = await subject('large');
  const collected = (): number => {
    globalThis.gc?.();
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  const before = collected();
  for (let entry = 0; entry < entries; entry++) {
    await of.put(`heavy-${entry}`);
  }
  const bytesPerEntry = (collected() - before) / entries;
  if ((await of.read(`heavy-${entries - 1}`)) === undefined) {
    throw new Error('An entry is missing.');
  }
  return { bytesPerEntry };
}

function stopwatch(): () => Taken {
  const startedMs = performance.now();
  const cpuStarted = process.cpuUsage();
  return () => {
    const ms = performance.now() - startedMs;
    const { user, system } = process.cpuUsage(cpuStarted);
    return { ms, cpuMs: (user + system) / 1_000 };
  };
}
