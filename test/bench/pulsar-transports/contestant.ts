// One way to a broker in a process of its own, so that its processor time is its own: a job a line on the standard input, its figures on the output.
import { createInterface } from 'node:readline';
import { type Heap, type Job, type Latency, type Settings, type Throughput } from './job.ts';
import { type ByteWay, NotHere, type Way, type WayConsumer, type WayProducer } from './way.ts';
import { WAYS } from './ways.ts';

const [name = '', settingsText = '{}'] = process.argv.slice(2);
const settings = JSON.parse(settingsText) as Settings;
/** Where a message of the latency run carries its number, behind the time. */
const NUMBER_AT = 8;
const LATENCY_WAIT_MS = 20_000;

let way: Way<unknown> | ByteWay | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answerTo(JSON.parse(line) as Job))}\n`);
}
await way?.close();
process.exit(0);

async function answerTo(job: Job): Promise<object> {
  try {
    way ??= await WAYS[name]?.(settings);
    if (way === undefined) {
      throw new Error(`There is no way "${name}"`);
    }
    return job.kind === 'heap' ? heap() : await run(way, job);
  } catch (error) {
    return error instanceof NotHere ? { notHere: error.message } : { error: String(error) };
  }
}

async function run(way: Way<unknown> | ByteWay, job: Job): Promise<Throughput | Latency | object> {
  if ('publish' in way) {
    return carry(way, job);
  }
  switch (job.kind) {
    case 'publish':
      return publish(way, job);
    case 'consume':
      return consume(way, job);
    case 'latency':
      return latency(way, job);
    case 'open':
    case 'heap':
      break;
  }
  return {};
}

async function carry(way: ByteWay, job: Job): Promise<Throughput | object> {
  if (job.kind === 'publish') {
    return way.publish(job.topic, job.messages, job.bytes, stopwatch);
  }
  if (job.kind === 'consume') {
    return way.consume(job.topic, job.subscription, job.messages, job.bytes, stopwatch);
  }
  return {};
}

/** Sends with so many not settled at most, as an application does that minds its memory. */
async function publish(way: Way<unknown>, { topic, messages, bytes }: Job & { kind: 'publish' }): Promise<Throughput> {
  const producer = await way.createProducer(topic);
  const payload = new Uint8Array(bytes).fill(0x78);
  const stop = stopwatch();
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let settled = 0;
    let isFilling = false;
    const fill = (): void => {
      isFilling = true;
      while (sent < messages && sent - settled < settings.window) {
        sent++;
        producer.send(payload).then(onSettled, reject);
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
  const taken = stop();
  await producer.close();
  return taken;
}

/** Receives and acknowledges each message; done when every acknowledgement is. */
async function consume(
  way: Way<unknown>,
  { topic, subscription, messages, bytes, connections = 1 }: Job & { kind: 'consume' },
): Promise<Throughput> {
  const stop = stopwatch();
  const window = settings.window / connections;
  let resolve = (): void => {};
  let reject = (_error: unknown): void => {};
  const done = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  let received = 0;
  let acknowledged = 0;
  const onAcknowledged = (): void => {
    acknowledged++;
    if (acknowledged === messages) {
      resolve();
    }
  };
  const subscribe = async (): Promise<WayConsumer<unknown>> => {
    const early: [unknown, Uint8Array][] = [];
    let onMessage = (id: unknown, payload: Uint8Array): void => void early.push([id, payload]);
    const consumer = await way.subscribe(topic, subscription, (id, payload) => onMessage(id, payload));
    let spent = 0;
    onMessage = (id, payload) => {
      if (payload.length !== bytes) {
        reject(new Error(`A message has ${payload.length} bytes instead of ${bytes}.`));
      }
      received++;
      if (received > messages) {
        return;
      }
      consumer.ack(id).then(onAcknowledged, reject);
      // Half a window at a time, as the official clients do it.
      spent++;
      if (spent === window / 2) {
        consumer.permit(spent);
        spent = 0;
      }
    };
    early.forEach(([id, payload]) => onMessage(id, payload));
    consumer.permit(window);
    return consumer;
  };
  const consumers = await Promise.all(Array.from({ length: connections }, subscribe));
  await done;
  const taken = stop();
  await Promise.all(consumers.map((consumer) => consumer.close()));
  return taken;
}

/** A steady stream from this process to itself, through the broker. */
async function latency(
  way: Way<unknown>,
  { topic, subscription, messages, bytes, perSecond }: Job & { kind: 'latency' },
): Promise<Latency> {
  const latenciesMs: number[] = [];
  let resolve = (): void => {};
  let reject = (_error: unknown): void => {};
  const allCame = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  const early: unknown[] = [];
  let ack = (id: unknown): void => void early.push(id);
  const consumer = await way.subscribe(topic, subscription, (id, payload) => {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    latenciesMs[view.getUint32(NUMBER_AT)] = performance.now() - view.getFloat64(0);
    ack(id);
    if (view.getUint32(NUMBER_AT) === messages - 1) {
      resolve();
    }
  });
  ack = (id) => void consumer.ack(id).catch(reject);
  early.forEach((id) => ack(id));
  consumer.permit(messages);
  const producer = await way.createProducer(topic);
  await sendSteadily(producer, { messages, bytes, perSecond, onFailure: reject });
  const timer = setTimeout(() => reject(new Error('Not every message came.')), LATENCY_WAIT_MS);
  await allCame;
  clearTimeout(timer);
  await producer.close();
  await consumer.close();
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(messages * share)] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function sendSteadily(
  producer: WayProducer,
  options: {
    readonly messages: number;
    readonly bytes: number;
    readonly perSecond: number;
    readonly onFailure: (error: unknown) => void;
  },
): Promise<void> {
  const { messages, bytes, perSecond, onFailure } = options;
  const started = performance.now();
  for (let sent = 0; sent < messages;) {
    const due = Math.min(messages, Math.floor(((performance.now() - started) / 1_000) * perSecond));
    for (; sent < due; sent++) {
      const payload = new Uint8Array(bytes);
      const view = new DataView(payload.buffer);
      view.setUint32(NUMBER_AT, sent);
      view.setFloat64(0, performance.now());
      producer.send(payload).catch(onFailure);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function stopwatch(): () => Throughput {
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
