import type { StepScheduler } from './step.scheduler.js';

/** Whether a request is given up, and if so, whether it arrives all the same before that. */
export type Fate = 'answered' | 'answerLost' | 'late';

/** One replica's line to the store: every request and every reply is a step of its own, so that they overtake each other. */
export class SimulatedLine {
  constructor(
    private readonly replica: string,
    private readonly scheduler: StepScheduler,
    /** What becomes of the next request. */
    private readonly fate: () => Fate = () => 'answered',
  ) {}

  async call<R>(what: string, execute: () => Promise<R>): Promise<R> {
    const fate = this.fate();
    if (fate === 'late') {
      this.scheduler.add(`${this.replica}: ${what}, given up, executes`, () => void execute());
    } else {
      await this.scheduler.gate(`${this.replica}: ${what} executes`);
      const reply = await execute();
      if (fate === 'answered') {
        await this.scheduler.gate(`${this.replica}: reply of ${what}`);
        return reply;
      }
    }
    await this.scheduler.gate(`${this.replica}: ${what} is given up`);
    throw new Error('No answer.');
  }
}
