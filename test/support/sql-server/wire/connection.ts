import { SqlServerFault, type SqlEngine, type SqlLogin, type SqlSession } from '../seam.js';
import { WireFormatError } from './bytes/byte-reader.js';
import type { Channel } from './channel.js';
import type { ConnectFault, FaultPlan } from './faults/fault-plan.js';
import { Feature, type Login7, readLogin7 } from './login/login7.js';
import { Encryption, preLoginAnswer, readPreLogin } from './login/prelogin.js';
import type { ServerCertificate } from './login/tls-tunnel.js';
import { ConnectionGone } from './packets/byte-sink.js';
import { PacketStream } from './packets/packet-stream.js';
import { type ClientMessage, PacketStatus, PacketType } from './packets/packet.js';
import { RequestRunner } from './request-runner.js';
import { RequestReader } from './requests/request-reader.js';
import {
  bytesChange,
  DoneStatus,
  doneToken,
  Environment,
  featureAckToken,
  loginAckToken,
  messageToken,
  textChange,
  transactionChange,
} from './tokens/tokens.js';
import { COLLATION } from './types/collation.js';

/** What every connection of a server shares. */
export interface ConnectionSettings {
  readonly engine: SqlEngine;
  readonly faults: FaultPlan;
  readonly serverName: string;
  /** The database of a login that names none. */
  readonly defaultDatabase: string;
  readonly tls: (ServerCertificate & { readonly required?: boolean }) | undefined;
}

/** SQL Server 2022. */
const VERSION = Buffer.from([16, 0, 0x03, 0xe8]);
const PROGRAM = 'Microsoft SQL Server';
const LANGUAGE = 'us_english';
const DEFAULT_PACKET_BYTES = 4_096;
const LEAST_PACKET_BYTES = 512;
const MOST_PACKET_BYTES = 32_767;
/** Process ids below are the server's own. */
const FIRST_PROCESS_ID = 50;

/** One client from its first byte to its last: pre-login, encryption, login, then one request after the other. */
export class Connection {
  private requests = 0;

  constructor(
    private readonly channel: Channel,
    private readonly number: number,
    private readonly settings: ConnectionSettings,
  ) {}

  /** Serves the client until it leaves. @throws what the engine or the wire broke with. */
  async serve(): Promise<void> {
    try {
      await this.suffer(this.settings.faults.atConnect({ connection: this.number }));
      await this.negotiate();
      const login = await this.readLogin();
      const session = login === undefined ? undefined : await this.login(login);
      if (session !== undefined) {
        await this.serveRequests(session, packetSizeOf(login!));
      }
    } catch (error) {
      if (!(error instanceof ConnectionGone)) {
        throw error;
      }
    }
  }

  private async negotiate(): Promise<void> {
    const message = await this.expect(PacketType.preLogin);
    const { encryption } = readPreLogin(message.payload);
    const { tls } = this.settings;
    const wanted = encryption === Encryption.on || encryption === Encryption.required;
    const encrypted = tls !== undefined && (wanted || tls.required === true);
    await this.send(preLoginAnswer(VERSION, this.answerFor(encrypted)));
    if (wanted !== encrypted) {
      // Neither side gives way: SQL Server ends such a connection, too.
      this.channel.end();
      await this.channel.frozen();
    }
    if (encrypted) {
      await this.channel.secure(tls, DEFAULT_PACKET_BYTES).catch(() => {
        // The client did not trust the certificate, or left: it knows why.
        throw new ConnectionGone();
      });
    }
  }

  private answerFor(encrypted: boolean): number {
    if (!encrypted) {
      return Encryption.notSupported;
    }
    return this.settings.tls?.required === true ? Encryption.required : Encryption.on;
  }

  private async readLogin(): Promise<Login7 | undefined> {
    const login = readLogin7((await this.expect(PacketType.login7)).payload);
    const { user, database, application, readOnlyIntent } = login.login;
    const point = { connection: this.number, user, database, application, readOnlyIntent };
    const fault = this.settings.faults.atLogin(point);
    if (fault?.kind === 'error') {
      await this.refuseLogin(new SqlServerFault(fault.message));
      return undefined;
    }
    await this.suffer(fault);
    return login;
  }

  private async login(request: Login7): Promise<SqlSession | undefined> {
    let session: SqlSession;
    const login: SqlLogin = {
      ...request.login,
      database: request.login.database === '' ? this.settings.defaultDatabase : request.login.database,
    };
    try {
      if (request.otherAuthentication) {
        throw untrustedDomain();
      }
      session = await this.settings.engine.login(login);
    } catch (error) {
      if (!(error instanceof SqlServerFault)) {
        throw error;
      }
      await this.refuseLogin(error);
      return undefined;
    }
    const packetSize = packetSizeOf(request);
    await this.send(
      textChange(Environment.database, login.database, 'master'),
      this.info(5_701, 2, `Changed database context to '${login.database}'.`),
      bytesChange(Environment.collation, COLLATION, Buffer.alloc(0)),
      textChange(Environment.language, LANGUAGE, ''),
      this.info(5_703, 1, `Changed language setting to ${LANGUAGE}.`),
      loginAckToken(PROGRAM, VERSION),
      textChange(Environment.packetSize, String(packetSize), String(DEFAULT_PACKET_BYTES)),
      ...(request.features.includes(Feature.utf8Support)
        ? [featureAckToken([[Feature.utf8Support, Buffer.from([1])]])]
        : []),
      doneToken('done', DoneStatus.final),
    );
    return session;
  }

  private async refuseLogin({ details }: SqlServerFault): Promise<void> {
    await this.send(messageToken('error', details, this.settings.serverName), doneToken('done', DoneStatus.error));
    this.channel.end();
    await this.channel.frozen();
  }

  private async serveRequests(session: SqlSession, packetSize: number): Promise<void> {
    const reader = new RequestReader(session);
    const runner = new RequestRunner(this.channel, {
      packetSize,
      processId: this.processId,
      serverName: this.settings.serverName,
      ignoresAttention: () => this.settings.faults.atAttention({ connection: this.number })?.kind === 'ignore',
    });
    try {
      for (let message = await this.channel.next(); message !== undefined; message = await this.channel.next()) {
        if (message.type === PacketType.attention) {
          await this.acknowledgeLateAttention(runner);
        } else {
          await this.serveRequest(session, reader, runner, message);
        }
      }
    } finally {
      session.close();
    }
  }

  private async acknowledgeLateAttention(runner: RequestRunner): Promise<void> {
    if (this.settings.faults.atAttention({ connection: this.number })?.kind !== 'ignore') {
      await runner.acknowledgeAttention();
    }
  }

  private async serveRequest(
    session: SqlSession,
    reader: RequestReader,
    runner: RequestRunner,
    message: ClientMessage,
  ): Promise<void> {
    if ((message.status & PacketStatus.ignore) !== 0) {
      await runner.answerIgnored();
      return;
    }
    const preamble = resetIfAsked(reader, message.status);
    const { kind, sql, isolation, shape, replies } = reader.read(message);
    this.requests += 1;
    await runner.run({
      shape,
      preamble,
      replies,
      rollback: () => session.rollback(),
      fault: this.settings.faults.atRequest({ connection: this.number, request: this.requests, kind, sql, isolation }),
      observe: (reply) => reader.follow(reply),
    });
  }

  private async suffer(fault: ConnectFault | undefined): Promise<void> {
    switch (fault?.kind) {
      case 'cut':
        this.channel.reset();
        throw new ConnectionGone();
      case 'freeze':
        return this.channel.frozen();
      case 'wait':
        await Promise.race([fault.until(), this.channel.frozen()]);
        return undefined;
      case undefined:
        return undefined;
    }
  }

  private async expect(type: number): Promise<ClientMessage> {
    const message = await this.channel.next();
    if (message === undefined) {
      throw new ConnectionGone();
    }
    if (message.type !== type) {
      throw new WireFormatError(`a message of type 0x${message.type.toString(16)} instead of 0x${type.toString(16)}`);
    }
    return message;
  }

  private async send(...parts: readonly Buffer[]): Promise<void> {
    const message = new PacketStream(this.channel, PacketType.reply, DEFAULT_PACKET_BYTES, this.processId);
    await message.append(Buffer.concat(parts));
    await message.end();
  }

  private info(number: number, state: number, message: string): Buffer {
    return messageToken('info', { number, state, class: 0, message, line: 1 }, this.settings.serverName);
  }

  private get processId(): number {
    return FIRST_PROCESS_ID + this.number;
  }
}

/** The reset that travels with a request; what it changes precedes the reply. */
function resetIfAsked(reader: RequestReader, status: number): readonly Buffer[] {
  if ((status & PacketStatus.resetConnectionKeepTransaction) !== 0) {
    throw new WireFormatError('a reset that keeps the transaction; the test server has none');
  }
  if ((status & PacketStatus.resetConnection) === 0) {
    return [];
  }
  const changes = reader
    .reset()
    .flatMap((reply) => (reply.kind === 'transaction' ? [transactionChange(reply.event, reply.descriptor)] : []));
  return [...changes, bytesChange(Environment.reset, Buffer.alloc(0), Buffer.alloc(0))];
}

function packetSizeOf({ packetSize }: Login7): number {
  return packetSize === 0
    ? DEFAULT_PACKET_BYTES
    : Math.min(Math.max(packetSize, LEAST_PACKET_BYTES), MOST_PACKET_BYTES);
}

function untrustedDomain(): SqlServerFault {
  return new SqlServerFault({
    number: 18_452,
    state: 1,
    class: 14,
    message: 'Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.',
    line: 1,
  });
}
