import { SqlServerFault, type SqlReply } from '../seam.js';
import type { Channel } from './channel.js';
import type { RequestFault } from './faults/fault-plan.js';
import { CuttingSink, HoldingSink, TricklingSink } from './faults/fault-sinks.js';
import { type ByteSink, ConnectionGone } from './packets/byte-sink.js';
import { PacketStream } from './packets/packet-stream.js';
import { PacketType } from './packets/packet.js';
import { type ReplyShape, ReplyWriter } from './tokens/reply-writer.js';
import { DoneStatus, doneToken } from './tokens/tokens.js';

/** One request, ready to run. */
export interface Work {
  readonly shape: ReplyShape;
  /** Tokens that precede the reply: what a reset of the connection changed. */
  readonly preamble: readonly Buffer[];
  /** `signal` aborts when the client no longer wants the reply. */
  readonly replies: (signal: AbortSignal) => AsyncIterable<SqlReply>;
  /** What the server does to the transaction when an injected error ends it. */
  readonly rollback: () => AsyncIterable<SqlReply>;
  readonly fault: RequestFault | undefined;
  /** Sees every reply of the session, also one that a fault keeps from the client. */
  readonly observe: (reply: SqlReply) => void;
}

/** Where a reply goes, and by which name the server speaks. */
export interface ReplySettings {
  readonly packetSize: number;
  readonly processId: number;
  readonly serverName: string;
  /** Whether an attention is to be ignored. */
  readonly ignoresAttention: () => boolean;
}

/** Runs requests of one connection, one after the other, with whatever is to go wrong. */
export class RequestRunner {
  constructor(
    private readonly channel: Channel,
    private readonly settings: ReplySettings,
  ) {}

  /** @throws ConnectionGone when the connection ended meanwhile, or a fault ended it. */
  async run(work: Work): Promise<void> {
    const attention = new AbortController();
    const signal = AbortSignal.any([attention.signal, this.channel.gone]);
    this.channel.onAttention = () => {
      if (!this.settings.ignoresAttention()) {
        attention.abort(new Error('The client sent an attention'));
      }
    };
    let ended: boolean;
    try {
      ended = await this.reply(work, attention.signal, signal);
    } finally {
      this.channel.onAttention = undefined;
    }
    if (attention.signal.aborted) {
      if (!ended) {
        await this.send(DoneStatus.error);
      }
      await this.acknowledgeAttention();
    }
  }

  /**
   * Acknowledges an attention in a message of its own. One for the reply, whole or broken off, has gone before it:
   * clients wait for both.
   */
  async acknowledgeAttention(): Promise<void> {
    await this.send(DoneStatus.attention);
  }

  /** Answers a message that the client gave up before it was whole. */
  async answerIgnored(): Promise<void> {
    await this.send(DoneStatus.error);
  }

  /** Whether the client got a reply that ends. */
  private async reply(work: Work, attention: AbortSignal, signal: AbortSignal): Promise<boolean> {
    const { fault } = work;
    await this.beforeExecution(fault, signal);
    const sink = this.sinkFor(fault);
    const message = this.message(sink);
    const writer = new ReplyWriter(message, work.shape, this.settings.serverName);
    for (const token of work.preamble) {
      await writer.token(token);
    }
    const fatal = await this.stream(work, message, writer, signal);
    if (fault?.kind === 'cut') {
      this.cut();
    }
    if (attention.aborted) {
      await writer.breakOff();
    } else {
      await writer.finish(fatal);
    }
    if (sink instanceof HoldingSink) {
      if (!(await this.mayLeave(fault, attention, signal))) {
        return false;
      }
      await sink.release(this.channel);
    }
    if (fatal) {
      this.channel.end();
      await this.channel.frozen();
    }
    return true;
  }

  /** Whether a reply that was held back may leave after all. */
  private async mayLeave(
    fault: RequestFault | undefined,
    attention: AbortSignal,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (fault?.kind === 'garbage') {
      await this.sendGarbage();
    }
    await settledOrAborted(fault?.kind === 'wait' ? fault.until() : never(), signal);
    return !attention.aborted;
  }

  private async beforeExecution(fault: RequestFault | undefined, signal: AbortSignal): Promise<void> {
    if (fault?.kind === 'freeze') {
      await this.channel.frozen();
    }
    if (fault?.kind === 'cut' && fault.when === 'execution') {
      this.cut();
    }
    if (fault?.kind === 'wait' && fault.when === 'execution') {
      await settledOrAborted(fault.until(), signal);
    }
  }

  /** Passes the session's replies on; `true` when one of them ends the connection. */
  private async stream(work: Work, message: PacketStream, writer: ReplyWriter, signal: AbortSignal): Promise<boolean> {
    let rows = 0;
    for await (const reply of answered(withInjectedError(work, signal))) {
      this.channel.gone.throwIfAborted();
      work.observe(reply);
      if (signal.aborted && reply.kind !== 'transaction') {
        break;
      }
      if (reply.kind === 'row') {
        rows += 1;
        if (work.fault?.kind === 'cutInRow' && rows === work.fault.row) {
          const bytes = writer.rowBytes(reply.values);
          await writer.token(bytes.subarray(0, Math.ceil(bytes.length / 2)));
          await message.flush();
          this.cut();
        }
      }
      await writer.write(reply);
      if (reply.kind === 'error' && reply.message.class >= 20) {
        return true;
      }
    }
    return false;
  }

  private sinkFor(fault: RequestFault | undefined): ByteSink {
    if (fault === undefined) {
      return this.channel;
    }
    switch (fault.kind) {
      case 'cutAtByte':
        return new CuttingSink(this.channel, fault.bytes, () => this.channel.reset());
      case 'trickle':
        return new TricklingSink(this.channel, fault.bytes);
      case 'cut':
      case 'garbage':
      case 'swallow':
        return new HoldingSink();
      case 'wait':
        return fault.when === 'reply' ? new HoldingSink() : this.channel;
      case 'cutInRow':
      case 'error':
      case 'freeze':
      default:
        return this.channel;
    }
  }

  private async sendGarbage(): Promise<never> {
    // A header that claims to be shorter than a header.
    await this.channel.write(Buffer.from([PacketType.reply, 1, 0, 7, 0, 0, 1, 0]));
    return this.channel.frozen();
  }

  private async send(status: number): Promise<void> {
    const message = this.message(this.channel);
    await message.append(doneToken('done', status));
    await message.end();
  }

  private cut(): never {
    this.channel.reset();
    throw new ConnectionGone();
  }

  private message(sink: ByteSink): PacketStream {
    return new PacketStream(sink, PacketType.reply, this.settings.packetSize, this.settings.processId);
  }
}

/** What a session throws as a fault is an error of its reply. */
async function* answered(replies: AsyncIterable<SqlReply>): AsyncGenerator<SqlReply> {
  try {
    yield* replies;
  } catch (error) {
    if (!(error instanceof SqlServerFault)) {
      throw error;
    }
    yield { kind: 'error', message: error.details };
  }
}

async function* withInjectedError(work: Work, signal: AbortSignal): AsyncGenerator<SqlReply> {
  const { fault } = work;
  if (signal.aborted) {
    return;
  }
  if (fault?.kind !== 'error') {
    yield* work.replies(signal);
    return;
  }
  let rows = 0;
  const afterRows = fault.afterRows ?? 0;
  if (afterRows > 0) {
    for await (const reply of work.replies(signal)) {
      yield reply;
      rows += reply.kind === 'row' ? 1 : 0;
      if (rows === afterRows) {
        break;
      }
    }
  }
  yield { kind: 'error', message: fault.message };
  if (fault.rollsBack === true) {
    for await (const reply of work.rollback()) {
      if (reply.kind === 'transaction') {
        yield reply;
      }
    }
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** Waits for whichever comes first; a promise that fails is the test's own mistake and is thrown. */
async function settledOrAborted(settled: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) {
    return;
  }
  let stop = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([settled, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
