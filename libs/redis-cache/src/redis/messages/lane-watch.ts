/** When something of this process last came back, lane by lane: one by which nothing comes back any more is cut off, and may bring no message of others either. */
export class LaneWatch {
  readonly #heardMs = new Map<string, number>();

  /** Something of our own came back. */
  hear(lane: string, nowMs: number): void {
    this.#heardMs.set(lane, nowMs);
  }

  /** Whatever was heard before, is of another connection: every lane has its time again. */
  clear(): void {
    this.#heardMs.clear();
  }

  /** Whether one of the lanes that there are has been silent for longer. The time of a new one begins when it is first asked for. */
  silent(lanes: readonly string[], nowMs: number, silentMs: number): boolean {
    for (const lane of this.#heardMs.keys()) {
      if (!lanes.includes(lane)) {
        this.#heardMs.delete(lane);
      }
    }
    let silent = false;
    for (const lane of lanes) {
      const heardMs = this.#heardMs.get(lane);
      if (heardMs === undefined) {
        this.#heardMs.set(lane, nowMs);
      } else {
        silent ||= heardMs < nowMs - silentMs;
      }
    }
    return silent;
  }
}
