import { WebSocket } from 'ws';
import { type Settings } from './job.ts';
import { type Way } from './way.ts';

interface Settle {
  readonly resolve: (id: string) => void;
  readonly reject: (error: Error) => void;
}

interface SendAnswer {
  readonly result: string;
  readonly errorMsg?: string;
  readonly messageId?: string;
  readonly context: string;
}

interface Delivery {
  readonly messageId: string;
  readonly payload: string;
}

/** More than any run asks for, and fewer than the broker lets go unacknowledged. */
const ALL = 40_000;

/**
 * What somebody writes who knows the WebSocket API and needs nothing but speed: no reconnect, no checks.
 *
 * @param acknowledges `false`: everything is permitted at once and nothing else is ever sent, which nobody can undercut.
 */
export async function bareWebSocket(settings: Settings, acknowledges = true): Promise<Way<string>> {
  const address = (role: string, topic: string, rest: string, query: Record<string, string>): string =>
    `${settings.webSocketUrl}/ws/v2/${role}/${topic.replace('://', '/')}${rest}?${new URLSearchParams(query).toString()}`;
  return {
    createProducer: async (topic) => {
      const socket = await open(
        address('producer', topic, '', {
          batchingEnabled: 'true',
          batchingMaxMessages: `${settings.batchMessages}`,
          batchingMaxPublishDelay: `${settings.lingerMs}`,
          maxPendingMessages: `${settings.window}`,
        }),
      );
      const pending = new Map<string, Settle>();
      let sent = 0;
      socket.on('message', (data: Buffer) => {
        const answer = JSON.parse(data.toString()) as SendAnswer;
        const settle = pending.get(answer.context);
        pending.delete(answer.context);
        if (answer.result === 'ok') {
          settle?.resolve(answer.messageId ?? '');
        } else {
          settle?.reject(new Error(answer.errorMsg ?? answer.result));
        }
      });
      return {
        send: (payload) =>
          new Promise((resolve, reject) => {
            const context = `${sent++}`;
            pending.set(context, { resolve, reject });
            const data = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('base64');
            socket.send(`{"payload":"${data}","context":"${context}"}`);
          }),
        close: () => closed(socket),
      };
    },
    subscribe: async (topic, subscription, onMessage) => {
      const socket = connect(
        address('consumer', topic, `/${encodeURIComponent(subscription)}`, {
          subscriptionType: 'Shared',
          subscriptionInitialPosition: 'Earliest',
          receiverQueueSize: `${settings.window}`,
          ...(acknowledges ? {} : { pullMode: 'true' }),
        }),
      );
      socket.on('message', (data: Buffer) => {
        const { messageId, payload } = JSON.parse(data.toString()) as Delivery;
        onMessage(messageId, Buffer.from(payload, 'base64'));
      });
      await opened(socket);
      if (!acknowledges) {
        socket.send(`{"type":"permit","permitMessages":${ALL}}`);
        return { permit: () => {}, ack: async () => {}, close: () => closed(socket) };
      }
      return {
        // The acknowledgement is the permit here.
        permit: () => {},
        ack: async (id) => socket.send(`{"messageId":"${id}"}`),
        close: () => closed(socket),
      };
    },
    close: async () => {},
  };
}

async function open(url: string): Promise<WebSocket> {
  const socket = connect(url);
  await opened(socket);
  return socket;
}

/** Without the compression that `ws` offers by default: for small messages on a fast network it costs ten times what it saves. */
function connect(url: string): WebSocket {
  return new WebSocket(url, { perMessageDeflate: false });
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
}

function closed(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
    socket.close();
  });
}
