// The contract of two replicas, on one contestant over one real Redis; a line of JSON says how it ended.
import { setTimeout as sleep } from 'node:timers/promises';
import { type TwoReplicas, twoReplicasContract } from '@smartpulse/redis-cache/testing';
import { Redis } from 'ioredis';

const [name = '', url = ''] = process.argv.slice(2);
/** Longer than any of them takes to connect again. */
const RECONNECT_MS = 2_500;
const CASE_MS = 20_000;
let counter = 0n;

async function two(prefix: string): Promise<TwoReplicas> {
  const settings = { url, prefix };
  const open = async () => {
    if (name === 'ours') {
      const { openMix } = await import('./mix-ours.ts');
      return openMix(settings, () => counter);
    }
    const { openMix } = await import('./mix-peers.ts');
    return name === 'cacheable' ? openMix.cacheable(settings) : openMix.bento(settings);
  };
  const [a, b] = [await open(), await open()];
  const admin = new Redis(url);
  const replicaOf = (cache: typeof a): TwoReplicas['replicas'][0] => ({
    read: async (key, load) => (await cache.read(key, load)).row,
    committed: async (key, row) => {
      counter = BigInt(row);
      await cache.committed(key);
    },
  });
  counter = 1n;
  return {
    replicas: [replicaOf(a), replicaOf(b)],
    loseMessages: async () => void (await admin.client('KILL', 'TYPE', 'PUBSUB')),
    messagesAreBack: () => sleep(RECONNECT_MS),
    heard: () => sleep(200),
    close: async () => {
      await Promise.all([a.close(), b.close()]);
      admin.disconnect();
    },
  };
}

/** An error that a client tells nobody but the process, which would end by it. */
let uncaught = '';
process.on('uncaughtException', (error) => {
  uncaught = `; the process was left with an uncaught error (${error.message})`;
});

const outcomes: { readonly title: string; readonly holds: boolean; readonly detail: string }[] = [];
const slug = name.replaceAll(/[^a-z]+/gi, '-');
for (const one of twoReplicasContract(() => two(`race-${slug}-${outcomes.length}`))) {
  const { title } = one;
  uncaught = '';
  try {
    await Promise.race([
      one.run(),
      sleep(CASE_MS).then(() => {
        throw new Error(`does not come to an end within ${CASE_MS / 1_000} s`);
      }),
    ]);
    outcomes.push({ title, holds: uncaught === '', detail: `holds${uncaught}` });
  } catch (error) {
    const shown =
      error instanceof Error && 'actual' in error
        ? `shows ${JSON.stringify(error.actual)}`
        : error instanceof Error
          ? error.message
          : String(error);
    outcomes.push({ title, holds: false, detail: `${shown}${uncaught}` });
  }
}
process.stdout.write(`${JSON.stringify({ outcomes })}\n`);
process.exit(0);
