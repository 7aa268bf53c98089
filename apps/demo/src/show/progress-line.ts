/** Where text goes that replaces itself: a terminal's standard output. */
export interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** One line that shows the newest state: rewritten in place on a terminal, written anew elsewhere, and only when it says something new. */
export class ProgressLine {
  #shown = '';

  constructor(private readonly screen: Screen) {}

  /** Shows `text` in place of what it showed before. */
  show(text: string): void {
    if (text === this.#shown) {
      return;
    }
    this.#shown = text;
    this.screen.write(this.screen.isTTY === true ? `\r\u001B[K${text}` : `${text}\n`);
  }

  /** Leaves the newest text standing and goes on below it. */
  end(): void {
    if (this.screen.isTTY === true && this.#shown !== '') {
      this.screen.write('\n');
    }
    this.#shown = '';
  }
}
