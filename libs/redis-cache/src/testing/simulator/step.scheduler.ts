import type { Random } from '@smartpulse/resilience';

/** A thing that may happen next. */
interface PendingStep {
  readonly label: string;
  run(): void;
}

/** Decides what happens next: every request, reply and delivery waits here until chance lets it go. The same seed gives the same history. */
export class StepScheduler {
  readonly #steps: PendingStep[] = [];
  readonly #history: string[] = [];

  constructor(private readonly random: Random) {}

  /** Something waits to happen. */
  get waiting(): boolean {
    return this.#steps.length > 0;
  }

  /** What has happened, in order: printed with a violated invariant. */
  get history(): readonly string[] {
    return this.#history;
  }

  /** Resolves when chance lets this step happen. */
  gate(label: string): Promise<void> {
    return new Promise((resolve) => this.add(label, resolve));
  }

  add(label: string, run: () => void): void {
    this.#steps.push({ label, run });
  }

  note(text: string): void {
    this.#history.push(text);
  }

  /** Lets one step happen, and everything that follows from it without another step. */
  async next(): Promise<void> {
    await this.#happen(this.random.int(this.#steps.length));
  }

  /**
   * Lets the first step happen whose label begins with `beginning`.
   *
   * @throws Error when none waits.
   */
  async let(beginning: string): Promise<void> {
    const index = this.#steps.findIndex(({ label }) => label.startsWith(beginning));
    if (index < 0) {
      throw new Error(
        `"${beginning}" cannot happen now; what can: ${this.#steps.map(({ label }) => label).join('; ')}`,
      );
    }
    await this.#happen(index);
  }

  async #happen(index: number): Promise<void> {
    const [step] = this.#steps.splice(index, 1);
    if (step !== undefined) {
      this.note(step.label);
      step.run();
    }
    await settled();
  }
}

/**
 * Every promise that can settle has settled: microtasks, from one of which this begins, run out before the next tick. A turn of the event loop would cost
 * more, and nothing here waits for one.
 */
export async function settled(): Promise<void> {
  await Promise.resolve();
  await new Promise<void>((resolve) => {
    process.nextTick(resolve);
  });
}
