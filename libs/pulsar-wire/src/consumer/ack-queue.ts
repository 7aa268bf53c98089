import { ConnectionError, toWireError, WireClosedError } from '../client/client.errors.js';
import type { WireError } from '../pulsar-wire.errors.js';
import { ACK_TYPE } from '../protocol/command/enumerations.js';
import type { AckPosition } from '../protocol/frame/hot-commands.js';
import type { BatchEntry } from './batch-entry.js';

/** Positions in one command: a frame of some 20 KiB. */
const MAX_GROUP = 1_000;

/** Sends one acknowledgement and resolves with its receipt. */
export type SendAck = (ackType: number, positions: readonly AckPosition[]) => Promise<unknown>;

class Deferred {
  readonly promise: Promise<void>;
  resolve!: () => void;
  reject!: (cause: WireError) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

interface AckGroup {
  readonly ackType: number;
  readonly singles: AckPosition[];
  readonly batches: Set<BatchEntry>;
  readonly done: Deferred;
}

/**
 * Acknowledgements on their way: all of one turn of the event loop leave as one command, and share one receipt. What a lost connection
 * took along is sent again on the next one: the broker takes an acknowledgement by its position, whoever had received the message.
 */
export class AckQueue {
  readonly #unsent: AckGroup[] = [];
  readonly #inFlight = new Set<AckGroup>();
  #open: AckGroup | undefined;
  #scheduled = false;
  #send: SendAck | undefined;
  #ended: WireError | undefined;

  constructor(private readonly batchIndexAck: boolean) {}

  /** Resolves when the broker has it. Callers of one turn share the promise. */
  addSingle(ledgerId: bigint, entryId: bigint): Promise<void> {
    const group = this.#group(ACK_TYPE.individual);
    group?.singles.push({ ledgerId, entryId });
    return this.#added(group);
  }

  /** What remains of the batch is read when the command is made: several acknowledgements of a turn are one. */
  addBatch(entry: BatchEntry): Promise<void> {
    if (entry.remaining > 0 && !this.batchIndexAck) {
      return Promise.resolve();
    }
    const group = this.#group(ACK_TYPE.individual);
    group?.batches.add(entry);
    return this.#added(group);
  }

  /** Of one turn only the furthest is sent: a broker answers success to a command of several positions, and ignores it. */
  addCumulative(position: AckPosition): Promise<void> {
    const group = this.#group(ACK_TYPE.cumulative);
    const furthest = group?.singles[0];
    if (group !== undefined && (furthest === undefined || !isBehind(position, furthest))) {
      group.singles[0] = position;
    }
    return this.#added(group);
  }

  /** There is a consumer to send for; what is left from before goes first. */
  attached(send: SendAck): void {
    this.#send = send;
    this.flush();
  }

  /**
   * Nobody to send for. What is on its way is to be sent again by the next one: a broker that has given up the consumer, but not the
   * connection, never answers it.
   */
  detached(): void {
    this.#send = undefined;
    this.#unsent.unshift(...this.#inFlight);
    this.#inFlight.clear();
  }

  /** Sends what is open, now. */
  flush(): void {
    if (this.#open !== undefined) {
      this.#unsent.push(this.#open);
      this.#open = undefined;
    }
    while (this.#send !== undefined) {
      const group = this.#unsent.shift();
      if (group === undefined) {
        return;
      }
      this.#dispatch(group, this.#send);
    }
  }

  /** Sends what is open and waits until everything is settled. Never rejects: those who asked are told. */
  async settle(): Promise<void> {
    this.flush();
    await Promise.allSettled([...this.#unsent, ...this.#inFlight].map(({ done }) => done.promise));
  }

  /** Rejects everything that is not settled, and everything from now on. */
  end(cause: WireError): void {
    this.#ended = cause;
    this.#drop(cause);
  }

  /** Rejects everything that is not settled: a seek makes it void. */
  discard(cause: WireError): void {
    this.#drop(cause);
  }

  #drop(cause: WireError): void {
    if (this.#open !== undefined) {
      this.#unsent.push(this.#open);
      this.#open = undefined;
    }
    for (const group of [...this.#unsent.splice(0), ...this.#inFlight]) {
      group.done.reject(cause);
    }
    this.#inFlight.clear();
  }

  #group(ackType: number): AckGroup | undefined {
    if (this.#ended !== undefined) {
      return undefined;
    }
    if (this.#open !== undefined && this.#open.ackType !== ackType) {
      // The order among them matters: a cumulative one must not overtake.
      this.flush();
    }
    if (this.#open === undefined) {
      this.#open = { ackType, singles: [], batches: new Set(), done: new Deferred() };
      this.#schedule();
    }
    return this.#open;
  }

  #added(group: AckGroup | undefined): Promise<void> {
    if (group === undefined) {
      return Promise.reject(this.#ended ?? new WireClosedError('consumer'));
    }
    if (group.singles.length + group.batches.size >= MAX_GROUP) {
      this.flush();
    }
    return group.done.promise;
  }

  #schedule(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.flush();
      });
    }
  }

  #dispatch(group: AckGroup, send: SendAck): void {
    const positions = [...group.singles];
    for (const entry of group.batches) {
      const { ledgerId, entryId, remaining, size } = entry;
      positions.push(
        remaining === 0 ? { ledgerId, entryId } : { ledgerId, entryId, ackSet: entry.ackSetHalves(), batchSize: size },
      );
    }
    this.#inFlight.add(group);
    // Both ways of settling are handled; the chain itself cannot reject.
    void send(group.ackType, positions).then(
      () => {
        if (this.#inFlight.delete(group)) {
          group.done.resolve();
        }
      },
      (error: unknown) => this.#refused(group, send, toWireError(error)),
    );
  }

  #refused(group: AckGroup, send: SendAck, error: WireError): void {
    if (!this.#inFlight.delete(group)) {
      return;
    }
    if (ConnectionError.is(error)) {
      // The connection ended before anybody told of the registration's end, which follows.
      this.#send = this.#send === send ? undefined : this.#send;
      this.#unsent.push(group);
      this.flush();
    } else {
      group.done.reject(error);
    }
  }
}

/** Of two positions in one entry the later call leaves less of it, so it counts. */
function isBehind(position: AckPosition, other: AckPosition): boolean {
  return position.ledgerId === other.ledgerId ? position.entryId < other.entryId : position.ledgerId < other.ledgerId;
}
