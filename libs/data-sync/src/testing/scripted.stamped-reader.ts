import { type ChangeVersion, type Stamped, StampedReader } from '@smartpulse/cdc';

/** A stamped reader whose stamp a test sets, and which fails when told to. */
export class ScriptedStampedReader extends StampedReader<null> {
  override readonly isolation: 'snapshot' | 'statement';
  /** What the database is at. */
  at: ChangeVersion;
  /** How often `current` was called. */
  questions = 0;
  /** Set: every call rejects with it. */
  failure: Error | undefined;
  /** Awaited inside `current`, before the stamp is read. */
  pause: Promise<void> | undefined;

  constructor(at: ChangeVersion, isolation: 'snapshot' | 'statement' = 'snapshot') {
    super();
    this.at = at;
    this.isolation = isolation;
  }

  override async read<T>(work: (manager: null) => Promise<T>): Promise<Stamped<T>> {
    const stamp = await this.current();
    return { stamp, value: await work(null) };
  }

  override async current(): Promise<ChangeVersion> {
    this.questions++;
    const stamp = this.at;
    await this.pause;
    if (this.failure !== undefined) {
      throw this.failure;
    }
    return stamp;
  }
}
