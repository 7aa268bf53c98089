import { Gathered } from '../../store/gathered.js';
import type { StoreWrite } from '../../store/cache.store.js';
import type { RedisLink } from '../connection/redis.link.js';

interface PendingSet {
  readonly write: StoreWrite;
  /** Version, synced, token, life and entry, as the script takes them. */
  readonly parameters: readonly (string | number)[];
  readonly resolve: (answer: readonly unknown[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Characters of one command: what is longer than this leaves alone, so that small writes never wait for large ones. */
const MAX_TOGETHER = 262_144;
/** Of what a set brings beside its entry. */
const OVERHEAD = 400;

/**
 * Sets of one turn of the event loop leave as one script that runs the rules for each key by itself: a request costs the client more than all the rest of a set. For one
 * server: keys of a cluster are in many.
 */
export class GatheredSets {
  readonly #sets = new Gathered<PendingSet>(MAX_TOGETHER, (sets) => this.#tell(sets));

  constructor(private readonly link: RedisLink) {}

  /** What the script answers for this key. */
  set(write: StoreWrite, parameters: readonly (string | number)[], length: number): Promise<readonly unknown[]> {
    return new Promise((resolve, reject) => {
      const before = this.#sets.last?.write;
      if (before !== undefined && (before.channel !== write.channel || before.source !== write.source)) {
        // A script tells one channel.
        this.#sets.leave();
      }
      this.#sets.add({ write, parameters, resolve, reject }, length + OVERHEAD);
    });
  }

  #tell(sets: readonly PendingSet[]): void {
    const [first, ...others] = sets;
    if (first === undefined) {
      return;
    }
    this.link
      .tellAll(
        'smartpulseSetEach',
        [first.write.key, ...others.map(({ write }) => write.key)],
        first.write,
        [],
        sets.map(({ parameters }) => parameters),
      )
      .then(
        (reply) =>
          sets.forEach(({ resolve, reject }, index) => {
            const answer = answerAt(reply, index);
            if (answer[0] === 'error') {
              reject(new ServerRefusal(String(answer[1])));
            } else {
              resolve(answer);
            }
          }),
        (error: unknown) => sets.forEach(({ reject }) => reject(error)),
      );
  }
}

function answerAt(reply: unknown, index: number): readonly unknown[] {
  const answer: unknown = Array.isArray(reply) ? reply[index] : undefined;
  return Array.isArray(answer) ? answer : [];
}

/** The server answered, about one key of several; named as the client names what a server refuses. */
class ServerRefusal extends Error {
  override readonly name = 'ReplyError';
}
