// One subject in a process of its own, so that its processor time is its own: a job a line on the standard input, its figures on the output.
import { createInterface } from 'node:readline';
import type { Heap, Job, Latency, Settings, Taken } from './job.ts';
import { NotHere, type Sender, type Subject } from './subject.ts';
import { SUBJECTS } from './subjects.ts';

const [name = '', settingsText = '{}'] = process.argv.slice(2);
const settings = JSON.parse(settingsText) as Settings;
const keys = Array.from({ length: settings.keys }, (_, index) => `key-${index}`);
/** Where a message of the latency run carries its number, behind the time. */
const NUMBER_AT = 8;
const LATENCY_WAIT_MS = 20_000;

let subject: Subject | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answerTo(JSON.parse(line) as Job))}\n`);
}
await subject?.close();
process.exit(0);

async function answerTo(job: Job): Promise<object> {
  try {
    subject ??= await SUBJECTS[name]?.(settings);
    if (subject === undefined) {
      throw new Error(`There is no subject "${name}"`);
    }
    return await run(subject, job);
  } catch (error) {
    return error instanceof NotHere ? { notHere: error.message } : { error: String(error) };
  }
}

async function run(of: Subject, job: Job): Promise<Taken | Latency | Heap | object> {
  switch (job.kind) {
    case 'fill':
    case 'publish':
      return publish(of, job);
    case 'consume':
      return consume(of, job);
    case 'both':
      return both(of, job);
    case 'latency':
      return latency(of, job);
    case 'pooled':
      return oneByOne(job.messages, await of.sender(job.topic), new Uint8Array(job.bytes));
    case 'unpooled':
      return alone(of, job);
    case 'record': {
      const stop = stopwatch();
      of.record?.(job.messages);
      return stop();
    }
    case 'heap':
      return heap();
    case 'open':
      break;
  }
  return {};
}

async function publish(of: Subject, job: Job & { kind: 'publish' | 'fill' }): Promise<Taken> {
  const sender = await of.sender(job.topic);
  const stop = stopwatch();
  await sendAll(sender, job.messages, job.bytes);
  const taken = stop();
  await sender.close();
  return taken;
}

/** Sends with so many not settled at most, as an application does that minds its memory. */
function sendAll(sender: Sender, messages: number, bytes: number): Promise<void> {
  const payload = new Uint8Array(bytes).fill(0x78);
  return new Promise<void>((resolve, reject) => {
    let sent = 0;
    let settled = 0;
    let isFilling = false;
    const fill = (): void => {
      isFilling = true;
      while (sent < messages && sent - settled < settings.window) {
        const key = keys[sent % keys.length] ?? '';
        sent++;
        sender.send(payload, key).then(onSettled, reject);
      }
      isFilling = false;
    };
    const onSettled = (): void => {
      settled++;
      if (settled === messages) {
        resolve();
      } else if (!isFilling) {
        fill();
      }
    };
    fill();
  });
}

/** Reads what is there; done when every message is handled and acknowledged. */
async function consume(of: Subject, job: Job & { kind: 'consume' }): Promise<Taken> {
  const stop = stopwatch();
  const receiver = await of.receiver(job.topic, job.subscription, checking(job.bytes));
  await receiver.settled(job.messages);
  const taken = stop();
  await receiver.close();
  return taken;
}

async function both(of: Subject, job: Job & { kind: 'both' }): Promise<Taken> {
  const receiver = await of.receiver(job.topic, job.subscription, checking(job.bytes));
  const sender = await of.sender(job.topic);
  const stop = stopwatch();
  await Promise.all([sendAll(sender, job.messages, job.bytes), receiver.settled(job.messages)]);
  const taken = stop();
  await receiver.close();
  await sender.close();
  return taken;
}

function checking(bytes: number): (payload: Uint8Array) => void {
  return ({ length }) => {
    if (length !== bytes) {
      throw new Error(`A message has ${length} bytes instead of ${bytes}.`);
    }
  };
}

/** One message after the other, each awaited before the next. */
async function oneByOne(messages: number, sender: Sender, payload: Uint8Array): Promise<Taken> {
  await sender.send(payload, '');
  const stop = stopwatch();
  for (let sent = 0; sent < messages; sent++) {
    await sender.send(payload, '');
  }
  const taken = stop();
  await sender.close();
  return taken;
}

async function alone(of: Subject, job: Job & { kind: 'unpooled' }): Promise<Taken> {
  const payload = new Uint8Array(job.bytes);
  await of.sendAlone?.(job.topic, payload);
  const stop = stopwatch();
  for (let sent = 0; sent < job.messages; sent++) {
    await of.sendAlone?.(job.topic, payload);
  }
  return stop();
}

/** A steady stream from this process to itself, through the broker. */
async function latency(of: Subject, job: Job & { kind: 'latency' }): Promise<Latency> {
  const { messages, bytes, perSecond } = job;
  const latenciesMs: number[] = [];
  const receiver = await of.receiver(job.topic, job.subscription, (payload) => {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    latenciesMs[view.getUint32(NUMBER_AT)] = performance.now() - view.getFloat64(0);
  });
  const sender = await of.sender(job.topic);
  const { promise: failed, reject } = Promise.withResolvers<never>();
  const started = performance.now();
  for (let sent = 0; sent < messages;) {
    const due = Math.min(messages, Math.floor(((performance.now() - started) / 1_000) * perSecond));
    for (; sent < due; sent++) {
      const payload = new Uint8Array(bytes);
      const view = new DataView(payload.buffer);
      view.setUint32(NUMBER_AT, sent);
      view.setFloat64(0, performance.now());
      sender.send(payload, keys[sent % keys.length] ?? '').catch(reject);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const timer = setTimeout(() => reject(new Error('Not every message came.')), LATENCY_WAIT_MS);
  await Promise.race([failed, receiver.settled(messages)]);
  clearTimeout(timer);
  await receiver.close();
  await sender.close();
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(messages * share)] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
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

function heap(): Heap {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return { heapBytes: heapUsed + external };
}
