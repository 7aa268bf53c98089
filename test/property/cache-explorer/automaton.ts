/** A piece of the real code under inputs that come one at a time; between two of them it rests. */
export interface Subject<TInput, TOutput, TView> {
  apply(input: TInput): Promise<TOutput>;
  /** What its future depends on, as text: two histories with the same text behave alike from there on. */
  fingerprint(): string;
  /** What others see of it. */
  view(): TView;
  close(): Promise<void>;
}

/** What an input leads to. */
export interface Edge<TOutput> {
  readonly to: number;
  readonly output: TOutput;
}

/** Things told apart by their text, as small numbers. */
export class Interned<T> {
  readonly #ids = new Map<string, number>();
  readonly #items: T[] = [];

  id(item: T): number {
    const text = JSON.stringify(item);
    const known = this.#ids.get(text);
    if (known !== undefined) {
      return known;
    }
    this.#ids.set(text, this.#items.length);
    return this.#items.push(item) - 1;
  }

  get(id: number): T {
    const item = this.#items[id];
    if (item === undefined) {
      throw new RangeError(`Nothing has the number ${id}.`);
    }
    return item;
  }

  get size(): number {
    return this.#items.length;
  }
}

interface Node<TInput, TView> {
  readonly history: readonly TInput[];
  /** Another history that came here: what follows is checked on it, too. */
  other?: readonly TInput[];
  readonly view: TView;
}

/**
 * What a piece of real code does in every state that it comes to, found out by running it once for each state and input and remembered. A state is known
 * by its fingerprint; whether that leaves something out is checked by running each input on a second history of the same fingerprint.
 */
export class Automaton<TInput, TOutput, TView> {
  readonly inputs = new Interned<TInput>();
  readonly #nodes: Node<TInput, TView>[] = [];
  readonly #ids = new Map<string, number>();
  /** By state, then by input: this is asked for at each step of a search, where a map with keys of two numbers would take as long as all the rest. */
  readonly #edges: (Edge<TOutput> | undefined)[][] = [];
  runs = 0;

  constructor(
    private readonly create: () => Promise<Subject<TInput, TOutput, TView>>,
    private readonly firstInputs: readonly TInput[] = [],
  ) {}

  /** The state of the beginning. */
  async start(): Promise<number> {
    const { fingerprint, view } = await this.#run(this.firstInputs);
    return this.#node(fingerprint, this.firstInputs, view);
  }

  view(node: number): TView {
    return this.#at(node).view;
  }

  get size(): number {
    return this.#nodes.length;
  }

  /** `undefined`: not found out yet, see {@link learn}. */
  edge(node: number, input: number): Edge<TOutput> | undefined {
    return this.#edges[node]?.[input];
  }

  async learn(node: number, input: number): Promise<void> {
    const { history, other } = this.#at(node);
    const what = this.inputs.get(input);
    const { fingerprint, view, output } = await this.#run([...history, what]);
    if (output === undefined) {
      throw new Error('An input has an output.');
    }
    if (other !== undefined) {
      const again = await this.#run([...other, what]);
      if (again.fingerprint !== fingerprint || JSON.stringify(again.output) !== JSON.stringify(output)) {
        throw new Error(
          `A fingerprint leaves something out: ${JSON.stringify([history, other, what, fingerprint, again.fingerprint, output, again.output])}`,
        );
      }
    }
    (this.#edges[node] ??= [])[input] = { to: this.#node(fingerprint, [...history, what], view), output };
  }

  #node(fingerprint: string, history: readonly TInput[], view: TView): number {
    const known = this.#ids.get(fingerprint);
    if (known !== undefined) {
      this.#at(known).other ??= history;
      return known;
    }
    this.#ids.set(fingerprint, this.#nodes.length);
    return this.#nodes.push({ history, view }) - 1;
  }

  #at(node: number): Node<TInput, TView> {
    const found = this.#nodes[node];
    if (found === undefined) {
      throw new RangeError(`There is no state ${node}.`);
    }
    return found;
  }

  async #run(history: readonly TInput[]): Promise<{ fingerprint: string; view: TView; output: TOutput | undefined }> {
    this.runs++;
    const subject = await this.create();
    let output: TOutput | undefined;
    for (const input of history) {
      output = await subject.apply(input);
    }
    const result = { fingerprint: subject.fingerprint(), view: subject.view(), output };
    await subject.close();
    return result;
  }
}

/** Everything that can go on without time has gone on: microtasks, from one of which this begins, run out before the next tick. */
export async function settled(): Promise<void> {
  await Promise.resolve();
  await new Promise<void>((resolve) => {
    process.nextTick(resolve);
  });
}
