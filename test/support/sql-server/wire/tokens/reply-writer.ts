import type { SqlReply, SqlValue } from '../../seam.js';
import type { PacketStream } from '../packets/packet-stream.js';
import {
  columnsToken,
  DoneStatus,
  doneToken,
  Environment,
  messageToken,
  returnStatusToken,
  returnValueToken,
  type RowLayout,
  rowToken,
  type StatementCommand,
  textChange,
  transactionChange,
} from './tokens.js';

/** How a request was sent decides how its reply ends: a batch by DONE, a call by its status, its outputs and DONEPROC. */
export type ReplyShape = 'batch' | 'call';

interface Held {
  readonly status: number;
  readonly rows: number | undefined;
  readonly command: StatementCommand;
}

/** Writes what a session answers as the tokens of one message, with the flags that say what follows. */
export class ReplyWriter {
  private layout: RowLayout | undefined;
  /** A batch's last DONE, until it is known whether more follows. */
  private held: Held | undefined;
  private outputs: Extract<SqlReply, { kind: 'output' }>[] = [];
  private status: number | undefined;
  /** The error of the statement that is open, and of the one that ended last; 0 for none. */
  private openError = 0;
  private lastError = 0;

  constructor(
    private readonly out: PacketStream,
    private readonly shape: ReplyShape,
    private readonly serverName: string,
  ) {}

  async write(reply: SqlReply): Promise<void> {
    switch (reply.kind) {
      case 'columns': {
        const { bytes, layout } = columnsToken(reply.columns);
        this.layout = layout;
        await this.token(bytes);
        break;
      }
      case 'row':
        await this.token(this.rowBytes(reply.values));
        break;
      case 'done':
        await this.closeStatement(reply.rows);
        break;
      case 'error':
        this.openError = reply.message.number;
        await this.token(messageToken('error', reply.message, this.serverName));
        break;
      case 'info':
        await this.token(messageToken('info', reply.message, this.serverName));
        break;
      case 'database':
        await this.token(textChange(Environment.database, reply.name, reply.previous));
        break;
      case 'transaction':
        await this.token(transactionChange(reply.event, reply.descriptor));
        break;
      case 'output':
        this.outputs.push(reply);
        break;
      case 'status':
        this.status = reply.value;
        break;
    }
  }

  /** Bytes of a row of the open result. */
  rowBytes(values: readonly SqlValue[]): Buffer {
    if (this.layout === undefined) {
      throw new Error('A row before its columns');
    }
    return rowToken(this.layout, values);
  }

  /** Adds bytes that are no reply of a session. */
  async token(bytes: Buffer): Promise<void> {
    await this.releaseHeld(DoneStatus.more);
    await this.out.append(bytes);
  }

  /** Ends the message. `serverError`: the connection ends with it. */
  async finish(serverError = false): Promise<void> {
    const closing =
      (this.openError === 0 ? DoneStatus.final : DoneStatus.error) |
      (serverError ? DoneStatus.serverError : DoneStatus.final);
    if (this.shape === 'call') {
      // Without a status of its own a call returns the error of its last statement, as sp_executesql does.
      await this.out.append(returnStatusToken(this.status ?? (this.openError || this.lastError)));
      for (const [ordinal, { name, type, value }] of this.outputs.entries()) {
        await this.out.append(returnValueToken(ordinal, name, type, value));
      }
      await this.out.append(doneToken('doneProc', closing, undefined, 'call'));
    } else if (this.held === undefined) {
      await this.out.append(doneToken('done', closing));
    } else {
      await this.releaseHeld(closing);
    }
    await this.out.end();
  }

  /** Ends the message in the middle: the client no longer wants the rest. */
  async breakOff(): Promise<void> {
    await this.releaseHeld(DoneStatus.more);
    await this.out.append(doneToken('done', DoneStatus.error));
    await this.out.end();
  }

  private async closeStatement(rows: number | undefined): Promise<void> {
    const status = this.openError === 0 ? DoneStatus.final : DoneStatus.error;
    const command = this.layout === undefined ? 'other' : 'select';
    this.layout = undefined;
    this.lastError = this.openError;
    this.openError = 0;
    if (this.shape === 'call') {
      await this.out.append(doneToken('doneInProc', status | DoneStatus.more, rows, command));
      return;
    }
    await this.releaseHeld(DoneStatus.more);
    this.held = { status, rows, command };
  }

  private async releaseHeld(status: number): Promise<void> {
    const held = this.held;
    this.held = undefined;
    if (held !== undefined) {
      await this.out.append(doneToken('done', held.status | status, held.rows, held.command));
    }
  }
}
