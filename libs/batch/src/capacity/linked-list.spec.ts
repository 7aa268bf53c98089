import { describe, expect, it } from 'vitest';
import { LinkedList, type LinkedListMembership, type ListNode } from './linked-list.js';

class Node implements ListNode<Node> {
  previous: Node | undefined = undefined;
  next: Node | undefined = undefined;
  list: LinkedListMembership | undefined = undefined;

  constructor(readonly name: string) {}
}

function listOf(...names: string[]) {
  const nodes = names.map((name) => new Node(name));
  const list = new LinkedList<Node>();
  nodes.forEach((node) => list.push(node));
  const content = (): string[] => {
    const found: string[] = [];
    for (let node = list.head; node !== undefined; node = node.next) {
      found.push(node.name);
    }
    return found;
  };
  return { nodes, list, content };
}

describe('LinkedList', () => {
  it('gives its elements back in the order in which they came', () => {
    const { list } = listOf('a', 'b', 'c');
    expect([list.shift()?.name, list.shift()?.name, list.shift()?.name, list.shift()]).toEqual([
      'a',
      'b',
      'c',
      undefined,
    ]);
    expect(list.size).toBe(0);
  });

  it.each([
    [0, ['b', 'c']],
    [1, ['a', 'c']],
    [2, ['a', 'b']],
  ])('lets the element at %i leave', (index, rest) => {
    const { nodes, list, content } = listOf('a', 'b', 'c');
    const node = nodes[index];
    expect(node?.list).toBe(list);
    list.remove(node ?? new Node('none'));
    expect(node?.list).toBeUndefined();
    expect(content()).toEqual(rest);
    list.push(new Node('d'));
    expect(content()).toEqual([...rest, 'd']);
  });
});
