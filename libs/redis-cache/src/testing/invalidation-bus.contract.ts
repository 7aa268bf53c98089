import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { InvalidationBus, InvalidationListener, InvalidationMessage } from '../invalidation/invalidation.bus.js';
import { EntryVersion } from '../version/entry-version.js';

/** A fresh backplane under test. */
export interface InvalidationBusSubject {
  readonly bus: InvalidationBus;
  /** Publishes as the store would. */
  publish(channel: string, message: InvalidationMessage): Promise<void>;
  /** Resolves when everything published has arrived. */
  drained(): Promise<void>;
  /** Loses messages for the subscribers and lets them recover; left out where that cannot be brought about. */
  loseAndRecover?: (() => Promise<void>) | undefined;
  close(): Promise<void>;
}

const CHANNEL = 'test:contract:!inv';

class RecordingListener implements InvalidationListener {
  readonly heard: string[] = [];

  onMessage(message: InvalidationMessage): void {
    this.heard.push(`${message.action} ${message.key} ${message.version?.version ?? 'null'}`);
  }

  onUntrusted(): void {
    this.heard.push('untrusted');
  }

  onTrusted(): void {
    this.heard.push('trusted');
  }
}

const message = (version: number): InvalidationMessage => ({
  source: 'a',
  action: 'set',
  key: 'k',
  version: new EntryVersion(1n, BigInt(version)),
});

/**
 * What every {@link InvalidationBus} guarantees, as data.
 *
 * @param create makes a fresh backplane for each case.
 */
export function invalidationBusContract(
  create: () => InvalidationBusSubject | Promise<InvalidationBusSubject>,
  capabilities: { readonly losesMessages: boolean },
): readonly ContractCase[] {
  const check = (
    title: string,
    body: (subject: InvalidationBusSubject) => Promise<void>,
    skip?: string,
  ): ContractCase => ({
    title,
    ...(skip === undefined ? {} : { skip }),
    run: async () => {
      const subject = await create();
      try {
        await body(subject);
      } finally {
        await subject.close();
      }
    },
  });
  return [
    check('says that it is trusted before the subscription resolves', async (subject) => {
      const listener = new RecordingListener();
      await subject.bus.subscribe(CHANNEL, listener);
      assert.deepEqual(listener.heard, ['trusted']);
    }),
    check('delivers every message to every subscriber in the order of publication', async (subject) => {
      const listeners = [new RecordingListener(), new RecordingListener()];
      for (const listener of listeners) {
        await subject.bus.subscribe(CHANNEL, listener);
      }
      for (let version = 1; version <= 50; version++) {
        await subject.publish(CHANNEL, message(version));
      }
      await subject.drained();
      const expected = ['trusted', ...Array.from({ length: 50 }, (_, index) => `set k ${index + 1}`)];
      for (const listener of listeners) {
        assert.deepEqual(listener.heard, expected);
      }
    }),
    check('carries an eviction, which has no version', async (subject) => {
      const listener = new RecordingListener();
      await subject.bus.subscribe(CHANNEL, listener);
      await subject.publish(CHANNEL, { source: 'a', action: 'evict', key: 'k', version: null });
      await subject.drained();
      assert.deepEqual(listener.heard, ['trusted', 'evict k null']);
    }),
    check('keeps channels apart', async (subject) => {
      const listener = new RecordingListener();
      await subject.bus.subscribe(CHANNEL, listener);
      await subject.publish('test:other:!inv', message(1));
      await subject.drained();
      assert.deepEqual(listener.heard, ['trusted']);
    }),
    check('delivers nothing after the subscription was closed, also what was on its way', async (subject) => {
      const listener = new RecordingListener();
      const subscription = await subject.bus.subscribe(CHANNEL, listener);
      await subject.publish(CHANNEL, message(1));
      await subscription.close();
      const heard = listener.heard.length;
      await subject.publish(CHANNEL, message(2));
      await subject.drained();
      assert.equal(listener.heard.length, heard);
      await subscription.close();
    }),
    check(
      'announces that messages may have been lost before it delivers another one',
      async (subject) => {
        const listener = new RecordingListener();
        await subject.bus.subscribe(CHANNEL, listener);
        await subject.loseAndRecover?.();
        await subject.publish(CHANNEL, message(9));
        await subject.drained();
        const untrusted = listener.heard.indexOf('untrusted');
        const trusted = listener.heard.lastIndexOf('trusted');
        assert.ok(untrusted > 0 && trusted > untrusted, listener.heard.join(', '));
        assert.equal(listener.heard.at(-1), 'set k 9');
      },
      capabilities.losesMessages ? undefined : 'it cannot be made to lose messages',
    ),
  ];
}
