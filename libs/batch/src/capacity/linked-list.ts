/** An element of a {@link LinkedList}: it carries its own links, so that taking it out of the middle costs the same as at the ends. */
export interface ListNode<T> {
  previous: T | undefined;
  next: T | undefined;
  /** The list that it is in; `undefined` when in none. */
  list: LinkedListMembership | undefined;
}

/** Identity of a list, for the question "is it still in there?". */
export interface LinkedListMembership {
  readonly size: number;
}

/** A FIFO whose elements can leave from the middle in constant time. An element is in one list at most. */
export class LinkedList<T extends ListNode<T>> implements LinkedListMembership {
  #head: T | undefined;
  #tail: T | undefined;
  #size = 0;

  get head(): T | undefined {
    return this.#head;
  }

  get size(): number {
    return this.#size;
  }

  push(node: T): void {
    node.list = this;
    node.previous = this.#tail;
    node.next = undefined;
    if (this.#tail === undefined) {
      this.#head = node;
    } else {
      this.#tail.next = node;
    }
    this.#tail = node;
    this.#size++;
  }

  shift(): T | undefined {
    const node = this.#head;
    if (node !== undefined) {
      this.remove(node);
    }
    return node;
  }

  /** Takes `node` out. It has to be in this list. */
  remove(node: T): void {
    if (node.previous === undefined) {
      this.#head = node.next;
    } else {
      node.previous.next = node.next;
    }
    if (node.next === undefined) {
      this.#tail = node.previous;
    } else {
      node.next.previous = node.previous;
    }
    node.previous = undefined;
    node.next = undefined;
    node.list = undefined;
    this.#size--;
  }
}
