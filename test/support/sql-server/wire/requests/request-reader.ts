import { SqlServerFault, type SqlReply, type SqlSession } from '../../seam.js';
import { ByteReader, WireFormatError } from '../bytes/byte-reader.js';
import type { RequestPoint } from '../faults/fault-plan.js';
import { type ClientMessage, PacketType } from '../packets/packet.js';
import type { ReplyShape } from '../tokens/reply-writer.js';
import { readAllHeaders } from './all-headers.js';
import { refusal } from './refusal.js';
import { readRemoteCall } from './remote-call.js';
import { Statements } from './statements.js';
import { readTransactionRequest, type TransactionRequest } from './transaction-request.js';

/** What a message asks for, as work of the session. */
export interface Asked extends Pick<RequestPoint, 'kind' | 'sql' | 'isolation'> {
  readonly shape: ReplyShape;
  readonly replies: (signal: AbortSignal) => AsyncIterable<SqlReply>;
}

/** Understands the messages of one session, and keeps what earlier ones left: its transaction, its prepared statements. */
export class RequestReader {
  private readonly statements = new Statements();
  private descriptor = 0n;
  /** The transaction that a reset ended: the request that brought the reset may still claim it. */
  private endedByReset = 0n;

  constructor(private readonly session: SqlSession) {}

  /**
   * What the message asks for; a mistake of the client that SQL Server answers is work that fails.
   *
   * @throws WireFormatError when the message is no request.
   */
  read(message: ClientMessage): Asked {
    try {
      return this.understand(message);
    } catch (error) {
      // A value that is shorter than its type needs.
      if (error instanceof RangeError) {
        throw new WireFormatError(error.message);
      }
      if (!(error instanceof SqlServerFault)) {
        throw error;
      }
      return { kind: 'batch', shape: 'batch', sql: '', replies: () => failing(error) };
    }
  }

  /** Learns from a reply in which transaction the session is. */
  follow(reply: SqlReply): void {
    if (reply.kind === 'transaction') {
      this.descriptor = reply.event === 'begun' ? reply.descriptor : 0n;
    }
  }

  /** Resets the session; gives what the client must hear of it. */
  reset(): readonly SqlReply[] {
    this.session.reset();
    this.statements.forget();
    const { descriptor } = this;
    this.descriptor = 0n;
    this.endedByReset = descriptor;
    return descriptor === 0n ? [] : [{ kind: 'transaction', event: 'rolledBack', descriptor }];
  }

  private understand(message: ClientMessage): Asked {
    const reader = new ByteReader(message.payload);
    switch (message.type) {
      case PacketType.sqlBatch: {
        this.checkDescriptor(readAllHeaders(reader));
        const sql = reader.rest().toString('utf16le');
        const replies = (signal: AbortSignal): AsyncIterable<SqlReply> =>
          this.session.execute({ sql, parameters: [], signal });
        return { kind: 'batch', shape: 'batch', sql, replies };
      }
      case PacketType.rpc:
        this.checkDescriptor(readAllHeaders(reader));
        return this.call(reader);
      case PacketType.transactionManager: {
        this.checkDescriptor(readAllHeaders(reader));
        const request = readTransactionRequest(reader);
        const isolation = request.kind === 'begin' ? request.isolation : undefined;
        const replies = (): AsyncIterable<SqlReply> => transaction(this.session, request);
        return { kind: request.kind, shape: 'batch', sql: '', isolation, replies };
      }
      case PacketType.bulkLoad:
        throw refusal('bulk load');
      default:
        throw new WireFormatError(`a message of type 0x${message.type.toString(16)} after the login`);
    }
  }

  private call(reader: ByteReader): Asked {
    const plan = this.statements.plan(readRemoteCall(reader));
    const call = (sql: string, replies: Asked['replies']): Asked => ({ kind: 'call', shape: 'call', sql, replies });
    switch (plan.kind) {
      case 'execute':
        return call(plan.statement.sql, (signal) => this.session.execute({ ...plan.statement, signal }));
      case 'prepared': {
        const { statement } = plan;
        const handle = handleReply(plan.handleName, plan.handle);
        return call(statement?.sql ?? '', (signal) =>
          joined([handle], statement === undefined ? undefined : this.session.execute({ ...statement, signal })),
        );
      }
      case 'unprepared':
        return call('', () => joined([]));
      case 'reset':
      default: {
        const replies = this.reset();
        return call('', () => joined(replies));
      }
    }
  }

  /** A client that believes in another transaction than the server's has missed an end, or a beginning. */
  private checkDescriptor(claimed: bigint): void {
    const known = [0n, this.descriptor, this.endedByReset];
    this.endedByReset = 0n;
    if (!known.includes(claimed)) {
      throw new SqlServerFault({
        number: 3_971,
        state: 1,
        class: 16,
        message: `The server failed to resume the transaction. Desc:${claimed.toString(16)}.`,
        line: 1,
      });
    }
  }
}

async function* transaction(session: SqlSession, request: TransactionRequest): AsyncGenerator<SqlReply> {
  switch (request.kind) {
    case 'begin':
      yield* session.begin(request.isolation, request.name);
      return;
    case 'save':
      yield* session.save(request.name);
      return;
    case 'commit':
    case 'rollback':
      yield* request.kind === 'commit' ? session.commit(request.name) : session.rollback(request.name);
      if (request.next !== undefined) {
        yield* session.begin(request.next.isolation, request.next.name);
      }
  }
}

function handleReply(name: string, handle: number): SqlReply {
  return { kind: 'output', name, type: { name: 'int', nullable: true }, value: BigInt(handle) };
}

async function* joined(first: readonly SqlReply[], then?: AsyncIterable<SqlReply>): AsyncGenerator<SqlReply> {
  yield* first;
  if (then !== undefined) {
    yield* then;
  }
}

async function* failing(error: SqlServerFault): AsyncGenerator<SqlReply> {
  yield { kind: 'error', message: error.details };
}
