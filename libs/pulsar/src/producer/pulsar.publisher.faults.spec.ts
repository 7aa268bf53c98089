import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { array, assert, asyncProperty, boolean, constantFrom, integer, nat, oneof, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { InProcessBroker } from '../in-process/in-process.broker.js';
import { InProcessTransport } from '../in-process/in-process.transport.js';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { PulsarTelemetry } from '../pulsar.telemetry.js';
import { FaultInjectingTransport, type FaultQuestion, injectedFault } from '../testing/fault-injecting.transport.js';
import { consume } from '../testing/transport-fixture.js';
import { resolveOptions } from '../transport/resolve-options.js';
import { PulsarPublisher } from './pulsar.publisher.js';

const TOPICS = ['a', 'b', 'c'] as const;
const topic = constantFrom(...TOPICS);
const history = record({
  seed: integer(),
  batching: boolean(),
  acts: array(
    oneof(
      { weight: 4, arbitrary: record({ act: constantFrom('publish' as const), topic, abortAfterMs: nat(60) }) },
      { weight: 2, arbitrary: record({ act: constantFrom('publishMany' as const), topic, count: nat(8) }) },
      { weight: 1, arbitrary: record({ act: constantFrom('flush' as const), topic }) },
      { weight: 2, arbitrary: record({ act: constantFrom('wait' as const), ms: nat(80) }) },
    ),
    { minLength: 5, maxLength: 40 },
  ),
});

type Outcome = 'stored' | 'refused' | 'unknown';

/** A publisher on a transport that fails at random, and what it said of each message. */
class Ledger {
  readonly clock = new VirtualClock();
  readonly outcomes = new Map<number, Outcome>();
  readonly seen: Record<string, number> = {};
  readonly publisher: PulsarPublisher;
  readonly transport: FaultInjectingTransport;
  readonly #random: SeededRandom;
  readonly #givenUp = new Set<string>();
  readonly #work: Promise<void>[] = [];
  #calls = 0;
  isCalm = false;

  constructor(seed: number, batching: boolean) {
    const { clock } = this;
    this.#random = new SeededRandom(seed);
    const broker = new InProcessBroker({ clock, random: new SeededRandom(seed) });
    this.transport = new FaultInjectingTransport(new InProcessTransport(broker));
    const options = resolveOptions('test', {
      url: 'memory://',
      transport: this.transport,
      producer: { batching, batchMaxDelayMs: 20, maxPendingMessages: 3, poolMax: 2, poolIdleMs: 50 },
    });
    const connection = new PulsarConnection(options, clock, this.#random);
    this.publisher = new PulsarPublisher(connection, options, clock, new PulsarTelemetry(), this.#random);
    this.transport.plan = (question) => this.#plan(question);
  }

  publish(name: string, abortAfterMs: number): void {
    const call = this.#calls++;
    const abort = new AbortController();
    if (abortAfterMs < 20) {
      this.clock.setTimer(abortAfterMs, () => abort.abort());
    }
    this.#note(call, this.publisher.publish(name, call, { signal: abort.signal }));
  }

  publishMany(name: string, count: number): void {
    const calls = Array.from({ length: count }, () => this.#calls++);
    const many = this.publisher.publishMany(
      name,
      calls.map((data) => ({ data })),
    );
    for (const [index, call] of calls.entries()) {
      this.#note(
        call,
        many.then((outcomes) => {
          const outcome = outcomes[index];
          if (outcome?.status === 'rejected') {
            throw outcome.error;
          }
          return outcome?.value;
        }),
      );
    }
  }

  flush(name: string): void {
    this.#work.push(this.publisher.flush(name).catch((error: unknown) => expect(PulsarError.is(error)).toBe(true)));
  }

  async end(): Promise<Map<string, number[]>> {
    this.isCalm = true;
    await this.clock.advance(10_000);
    await Promise.all(this.#work);
    expect(this.publisher.pending).toBe(0);
    const closing = this.publisher.close();
    await this.clock.advance(1_000);
    await closing;
    expect(this.publisher.producers).toBe(0);
    const stored = new Map<string, number[]>();
    for (const name of TOPICS) {
      const heard = await consume(this.transport, `persistent://public/default/${name}`);
      await this.clock.settle();
      stored.set(name, heard.texts().map(Number));
      await heard.consumer.close();
    }
    return stored;
  }

  #note(call: number, publishing: Promise<unknown>): void {
    const told = (outcome: Outcome, what: string): void => {
      this.outcomes.set(call, outcome);
      this.seen[what] = (this.seen[what] ?? 0) + 1;
    };
    this.#work.push(
      publishing.then(
        () => told('stored', 'stored'),
        (error: unknown) => {
          if (!PulsarError.is(error)) {
            throw error;
          }
          told(error.ambiguous ? 'unknown' : 'refused', error.ambiguous ? 'unknown' : error.code);
        },
      ),
    );
  }

  /** A transport that gives a producer up refuses every send on it, until another one is made. */
  #plan({ point, topic: name }: FaultQuestion): Error | undefined | Promise<Error | undefined> {
    if (this.isCalm) {
      return undefined;
    }
    const draw = this.#random.next();
    switch (point) {
      case 'createProducer':
        this.#givenUp.delete(name);
        return draw < 0.2 ? injectedFault(name) : draw < 0.5 ? this.clock.sleep(25).then(() => undefined) : undefined;
      case 'send':
        if (draw < 0.05) {
          this.#givenUp.add(name);
        }
        return this.#givenUp.has(name)
          ? new PulsarClosedError('producer', name)
          : draw < 0.15
            ? injectedFault(name)
            : undefined;
      case 'afterSend':
        return draw < 0.1
          ? injectedFault(name, { ambiguous: true, kind: draw < 0.05 ? 'recreate' : 'transient' })
          : undefined;
      case 'flush':
        return draw < 0.1 ? injectedFault(name) : undefined;
      case 'connect':
      case 'subscribe':
      case 'ack':
        break;
    }
    return undefined;
  }
}

describe('PulsarPublisher on a transport that fails at random', () => {
  it('tells the truth of every message: stored, not stored, or unknown; stores none twice, and all in the order of the calls', async () => {
    const seen: Record<string, number> = {};
    await assert(
      asyncProperty(history, async ({ seed, batching, acts }) => {
        const ledger = new Ledger(seed, batching);
        for (const act of acts) {
          if (act.act === 'publish') {
            ledger.publish(act.topic, act.abortAfterMs);
          } else if (act.act === 'publishMany') {
            ledger.publishMany(act.topic, act.count);
          } else if (act.act === 'flush') {
            ledger.flush(act.topic);
          } else {
            await ledger.clock.advance(act.ms);
          }
        }
        const stored = await ledger.end();
        const all = new Set([...stored.values()].flat());
        const wrong = [...ledger.outcomes].filter(
          ([call, outcome]) => outcome !== 'unknown' && all.has(call) !== (outcome === 'stored'),
        );
        expect(wrong).toEqual([]);
        for (const [name, calls] of stored) {
          expect(calls, `the order on ${name}`).toEqual([...new Set(calls)].toSorted((a, b) => a - b));
        }
        for (const [what, count] of Object.entries(ledger.seen)) {
          seen[what] = (seen[what] ?? 0) + count;
        }
      }),
      { numRuns: 300 },
    );
    for (const what of [
      'stored',
      'unknown',
      'SMARTPULSE_PULSAR_ABORTED',
      'SMARTPULSE_PULSAR_INJECTED',
      'SMARTPULSE_PULSAR_POOL_FULL',
    ]) {
      expect(seen[what] ?? 0, what).toBeGreaterThan(10);
    }
  });
});
