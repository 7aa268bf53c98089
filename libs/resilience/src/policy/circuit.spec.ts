import { describe, expect, it } from 'vitest';
import { CircuitOpenError } from '../resilience.errors.js';
import { SeededRandom } from '../random/seeded.random.js';
import { VirtualClock } from '../testing/virtual.clock.js';
import { Circuit, type CircuitPermit, type CircuitVote } from './circuit.js';
import { BREAKER_DEFAULTS } from './policy.options.js';
import type { ResolvedBreaker } from './resolve-policy.js';

const options: ResolvedBreaker = { ...BREAKER_DEFAULTS, openJitter: 0, failureIf: undefined };

function fail(circuit: Circuit, times: number): void {
  for (let time = 0; time < times; time++) {
    circuit.settle(circuit.admit(), 'failed');
  }
}

describe('Circuit', () => {
  const create = (overrides: Partial<ResolvedBreaker> = {}): { circuit: Circuit; clock: VirtualClock } => {
    const clock = new VirtualClock();
    return { clock, circuit: new Circuit('stock', { ...options, ...overrides }, clock, new SeededRandom()) };
  };

  it('opens after 5 failures in a row, lets a probe through after 60 s and closes after 2 good probes', async () => {
    const { circuit, clock } = create();
    fail(circuit, 5);
    expect(circuit.snapshot()).toEqual({ state: 'open', retryAfterMs: 60_000, opened: 1 });
    await clock.advance(59_999);
    expect(() => circuit.admit()).toThrow(CircuitOpenError);

    await clock.advance(1);
    circuit.settle(circuit.admit(), 'succeeded');
    expect(circuit.snapshot().state).toBe('halfOpen');
    circuit.settle(circuit.admit(), 'succeeded');

    expect(circuit.snapshot()).toEqual({ state: 'closed', retryAfterMs: 0, opened: 1 });
  });

  it('starts counting anew after a success', () => {
    const { circuit } = create();
    fail(circuit, 4);
    circuit.settle(circuit.admit(), 'succeeded');
    fail(circuit, 4);

    expect(circuit.snapshot().state).toBe('closed');
  });

  it('refuses callers beyond the probes of a half-open circuit at once, with the time to wait', async () => {
    const { circuit, clock } = create();
    fail(circuit, 5);
    await clock.advance(60_000);
    circuit.admit();
    circuit.admit();

    try {
      circuit.admit();
      expect.unreachable();
    } catch (error) {
      expect(CircuitOpenError.is(error) && error.retryAfterMs).toBe(1_000);
      expect(CircuitOpenError.is(error) && error.state).toBe('halfOpen');
    }
  });

  it('ignores a late failure that was let through before the circuit opened', async () => {
    const { circuit, clock } = create();
    const late = circuit.admit();
    fail(circuit, 5);
    await clock.advance(60_000);
    const probe = circuit.admit();

    circuit.settle(late, 'failed');

    expect(circuit.snapshot().state).toBe('halfOpen');
    circuit.settle(probe, 'succeeded');
    circuit.settle(circuit.admit(), 'succeeded');
    expect(circuit.snapshot().state).toBe('closed');
  });

  it('opens again when the probes give no verdict in time, counted from that time', async () => {
    const { circuit, clock } = create({ openMultiplier: 1 });
    fail(circuit, 5);
    await clock.advance(60_000);
    const silent = circuit.admit();
    await clock.advance(30_000);
    expect(circuit.snapshot()).toEqual({ state: 'open', retryAfterMs: 60_000, opened: 2 });

    await clock.advance(60_000);
    const probe = circuit.admit();
    circuit.settle(silent, 'failed');
    circuit.settle(probe, 'succeeded');
    circuit.settle(circuit.admit(), 'succeeded');
    expect(circuit.snapshot().state).toBe('closed');
  });

  it('stays open half as long again after every failed recovery, up to the cap, and forgets that when it closes', async () => {
    const { circuit, clock } = create({ maxOpenMs: 100_000 });
    fail(circuit, 5);
    const openMs: number[] = [];
    for (let round = 0; round < 3; round++) {
      openMs.push(circuit.snapshot().retryAfterMs);
      await clock.advance(circuit.snapshot().retryAfterMs);
      circuit.settle(circuit.admit(), 'failed');
    }
    expect(openMs).toEqual([60_000, 90_000, 100_000]);

    circuit.reset();
    fail(circuit, 5);
    expect(circuit.snapshot().retryAfterMs).toBe(60_000);
  });

  it('spreads the open time by chance so that replicas do not probe together', () => {
    const clock = new VirtualClock();
    const times = [1, 2, 3, 4].map((seed) => {
      const circuit = new Circuit('stock', { ...options, openJitter: 0.1 }, clock, new SeededRandom(seed));
      fail(circuit, 5);
      return circuit.snapshot().retryAfterMs;
    });

    expect(new Set(times).size).toBe(4);
    expect(times.every((ms) => ms >= 54_000 && ms <= 66_000)).toBe(true);
  });

  it('opens at a share of the last calls with the strategy count', () => {
    const { circuit } = create({ strategy: { kind: 'count', size: 4, threshold: 0.5 } });
    const votes: CircuitVote[] = ['failed', 'succeeded', 'failed', 'failed'];
    const states = votes.map((vote) => {
      circuit.settle(circuit.admit(), vote);
      return circuit.snapshot().state;
    });

    expect(states).toEqual(['closed', 'closed', 'closed', 'open']);
  });

  it('is held open by hand until the last holder releases it, each once', () => {
    const { circuit } = create();
    const [first, second] = [circuit.isolate(), circuit.isolate()];
    first();
    first();
    expect(circuit.snapshot()).toEqual({ state: 'isolated', retryAfterMs: Number.POSITIVE_INFINITY, opened: 0 });
    expect(() => circuit.admit()).toThrow(CircuitOpenError);

    second();
    expect(circuit.snapshot().state).toBe('closed');
  });
});

// The reference: closed counts failures in a row, opens at 2 for 10; half-open lets 2 through, lasts 6.
const small: ResolvedBreaker = {
  ...options,
  strategy: { kind: 'consecutive', failures: 2 },
  openMs: 10,
  openMultiplier: 1,
  halfOpenMaxWaitMs: 6,
};
const EVENTS = ['begin', 'ok', 'fail', 'ignore', 'last-ok', 'last-fail', 'tick', 'isolate', 'release'] as const;
type Event = (typeof EVENTS)[number];

class Reference {
  state = 'closed';
  era = 0;
  failures = 0;
  atMs = 0;
  running = 0;
  good = 0;
  enter(state: string, atMs: number): void {
    Object.assign(this, { state, atMs, era: this.era + 1, failures: 0, running: 0, good: 0 });
  }
  look(nowMs: number): void {
    if (this.state === 'halfOpen' && nowMs >= this.atMs + 6) this.enter('open', this.atMs + 6);
  }
  begin(nowMs: number): number | undefined {
    this.look(nowMs);
    if (this.state === 'open' && nowMs >= this.atMs + 10) this.enter('halfOpen', nowMs);
    if (this.state === 'halfOpen') return this.running + this.good < 2 ? (this.running++, this.era) : undefined;
    return this.state === 'closed' ? this.era : undefined;
  }
  end(era: number, vote: CircuitVote, nowMs: number): void {
    this.look(nowMs);
    if (era !== this.era) return;
    if (this.state === 'halfOpen') this.running--;
    if (vote === 'succeeded') {
      this.failures = 0;
      if (this.state === 'halfOpen' && ++this.good === 2) this.enter('closed', nowMs);
    } else if (vote === 'failed' && (this.state === 'halfOpen' || ++this.failures === 2)) this.enter('open', nowMs);
  }
}

class Pair {
  nowMs = 0;
  readonly reference = new Reference();
  readonly circuit = new Circuit('model', small, { monotonic: () => this.nowMs }, new SeededRandom());
  readonly running: { permit: CircuitPermit; era: number }[] = [];
  readonly holders: (() => void)[] = [];

  apply(event: Event): void {
    if (event === 'begin') {
      this.#begin();
    } else if (event === 'tick') {
      this.nowMs += 3;
    } else if (event === 'isolate') {
      this.holders.push(this.circuit.isolate());
      if (this.reference.state !== 'isolated') this.reference.enter('isolated', this.nowMs);
    } else if (event === 'release') {
      this.holders.pop()?.();
      if (this.holders.length === 0 && this.reference.state === 'isolated') this.reference.enter('closed', this.nowMs);
    } else {
      this.#end(event);
    }
  }

  #begin(): void {
    const era = this.reference.begin(this.nowMs);
    let permit: CircuitPermit | undefined;
    try {
      permit = this.circuit.admit();
    } catch (error) {
      if (!CircuitOpenError.is(error)) throw error;
    }
    if ((permit === undefined) !== (era === undefined)) expect.fail(`let through: ${permit !== undefined}`);
    if (permit !== undefined && era !== undefined) this.running.push({ permit, era });
  }

  #end(event: Event): void {
    const one = event.startsWith('last') ? this.running.pop() : this.running.shift();
    if (one !== undefined) {
      const vote = event.endsWith('ok') ? 'succeeded' : event.endsWith('fail') ? 'failed' : 'ignored';
      this.circuit.settle(one.permit, vote);
      this.reference.end(one.era, vote, this.nowMs);
    }
  }

  /** Everything that the future depends on; times relative to now. */
  key(): string {
    const { state, era, failures, atMs, running, good } = this.reference;
    const eras = this.running.map((one) => (one.era === era ? 'now' : 'old')).join();
    return `${state}/${failures}/${running}/${good}/${Math.min(12, this.nowMs - atMs)}/${eras}/${this.holders.length}`;
  }
}

describe('Circuit against its reference', () => {
  const follow = (path: readonly Event[]): Pair => {
    const pair = new Pair();
    path.forEach((event) => pair.apply(event));
    pair.reference.look(pair.nowMs);
    if (pair.circuit.snapshot().state !== pair.reference.state) {
      expect.fail(`${path.join(' ')}: ${pair.circuit.snapshot().state} instead of ${pair.reference.state}`);
    }
    return pair;
  };

  it('agrees on every sequence of 5 events', () => {
    let paths: Event[][] = [[]];
    for (let depth = 0; depth < 5; depth++) {
      paths = paths.flatMap((path) => EVENTS.map((event) => [...path, event]));
      paths.forEach(follow);
    }
    expect(paths).toHaveLength(EVENTS.length ** 5);
  });

  it('agrees in every state that up to 24 events with 3 runs at once can reach', () => {
    const seen = new Set<string>();
    let paths: Event[][] = [[]];
    for (let depth = 0; depth < 24; depth++) {
      const next: Event[][] = [];
      for (const path of paths.flatMap((earlier) => EVENTS.map((event) => [...earlier, event]))) {
        const pair = follow(path);
        if (pair.running.length <= 3 && pair.holders.length <= 2 && !seen.has(pair.key())) {
          seen.add(pair.key());
          next.push(path);
        }
      }
      paths = next;
    }
    const states = new Set([...seen].map((key) => key.slice(0, key.indexOf('/'))));
    expect(states).toEqual(new Set(['closed', 'open', 'halfOpen', 'isolated']));
    expect(seen.size).toBeGreaterThan(150);
  });
});
