/**
 * Prefixes of one family as an interval set can hold them: no overlaps. A prefix covered by a wider one is kept here and stays out of the
 * kernel until the wider one goes. Comes in: prefixes added and removed. Goes out: the visible prefixes that appeared and went.
 *
 * A binary trie with compressed paths: every node is the longest prefix that its subtree has in common, so a change costs the
 * depth (at most the prefix length) and what it covers or uncovers, not the size of the set.
 */
import { ADDRESS_BITS, maskCidr, printCidr } from '../model/ip.ts';
import type { Cidr } from '../model/ip.ts';

export interface PrefixDelta {
  readonly added: Cidr[];
  readonly removed: Cidr[];
}

interface Node {
  readonly cidr: Cidr;
  /** In the set; otherwise the node only joins its two children. */
  isMember: boolean;
  /** By the first bit after the prefix. */
  readonly children: [Node | undefined, Node | undefined];
}

export class PrefixSet {
  #root: Node | undefined;

  /** Adds one prefix that is not in yet. */
  add(cidr: Cidr): PrefixDelta {
    const { parents, isHidden } = this.#descend(cidr);
    const node = this.#place(cidr, parents.at(-1));
    node.isMember = true;
    return isHidden
      ? { added: [], removed: [] }
      : { added: [cidr], removed: node.children.flatMap(topMembers) };
  }

  /** Removes one prefix that is in. */
  remove(cidr: Cidr): PrefixDelta {
    const { parents, isHidden } = this.#descend(cidr);
    const parent = parents.at(-1);
    const node = parent === undefined ? this.#root : childFor(parent, cidr);
    if (node === undefined || !node.isMember || !isEqual(node.cidr, cidr)) {
      return { added: [], removed: [] };
    }
    node.isMember = false;
    const added = isHidden ? [] : node.children.flatMap(topMembers);
    this.#splice(node, parent);
    if (parent !== undefined) this.#splice(parent, parents.at(-2));
    return { added, removed: isHidden ? [] : [cidr] };
  }

  get isEmpty(): boolean {
    return this.#root === undefined;
  }

  /** Nodes wider than `cidr` that contain it, widest first, and whether one of them is a member. */
  #descend(cidr: Cidr): { parents: Node[]; isHidden: boolean } {
    const parents: Node[] = [];
    let isHidden = false;
    for (let node = this.#root; node !== undefined;) {
      if (node.cidr.prefixLen >= cidr.prefixLen || !contains(node.cidr, cidr)) break;
      parents.push(node);
      isHidden ||= node.isMember;
      node = childFor(node, cidr);
    }
    return { parents, isHidden };
  }

  /** The node of `cidr` below `parent`, made if it is not there. */
  #place(cidr: Cidr, parent: Node | undefined): Node {
    const below = parent === undefined ? this.#root : childFor(parent, cidr);
    if (below !== undefined && isEqual(below.cidr, cidr)) return below;
    const node: Node = { cidr, isMember: false, children: [undefined, undefined] };
    if (below === undefined) this.#attach(node, parent);
    else if (contains(cidr, below.cidr)) {
      setChild(node, below);
      this.#attach(node, parent);
    } else {
      const joint = commonPrefix(cidr, below.cidr);
      const fork: Node = { cidr: joint, isMember: false, children: [undefined, undefined] };
      setChild(fork, below);
      setChild(fork, node);
      this.#attach(fork, parent);
    }
    return node;
  }

  #attach(node: Node, parent: Node | undefined): void {
    if (parent === undefined) this.#root = node;
    else setChild(parent, node);
  }

  /** Takes a node out that is no member and joins nothing. */
  #splice(node: Node, parent: Node | undefined): void {
    const [low, high] = node.children;
    if (node.isMember || (low !== undefined && high !== undefined)) return;
    const only = low ?? high;
    if (parent === undefined) this.#root = only;
    else parent.children[bitAfter(node.cidr, parent.cidr.prefixLen)] = only;
  }
}

/** Of prefixes of any family the widest ones: the kernel refuses an interval set whose elements overlap (EEXIST, ENOTEMPTY). */
export function withoutCovered(cidrs: readonly Cidr[]): Cidr[] {
  const sets = { 4: new PrefixSet(), 6: new PrefixSet() };
  const visible = new Map<string, Cidr>();
  for (const cidr of cidrs) {
    const { added, removed } = sets[cidr.family].add(cidr);
    for (const hidden of removed) visible.delete(printCidr(hidden));
    for (const shown of added) visible.set(printCidr(shown), shown);
  }
  return [...visible.values()];
}

function childFor(node: Node, cidr: Cidr): Node | undefined {
  return node.children[bitAfter(cidr, node.cidr.prefixLen)];
}

function setChild(node: Node, child: Node): void {
  node.children[bitAfter(child.cidr, node.cidr.prefixLen)] = child;
}

/** Members of a subtree that no other member of it contains. */
function topMembers(node: Node | undefined): Cidr[] {
  if (node === undefined) return [];
  return node.isMember ? [node.cidr] : node.children.flatMap(topMembers);
}

/** The bit at `prefixLen`, counted from the most significant one. */
function bitAfter(cidr: Cidr, prefixLen: number): 0 | 1 {
  const shift = BigInt(ADDRESS_BITS[cidr.family] - prefixLen - 1);
  return ((cidr.value >> shift) & 1n) === 0n ? 0 : 1;
}

function contains(wide: Cidr, narrow: Cidr): boolean {
  if (wide.prefixLen > narrow.prefixLen) return false;
  return (wide.value ^ narrow.value) >> BigInt(ADDRESS_BITS[wide.family] - wide.prefixLen) === 0n;
}

function commonPrefix(a: Cidr, b: Cidr): Cidr {
  const bits = ADDRESS_BITS[a.family];
  const difference = a.value ^ b.value;
  const differing = difference === 0n ? 0 : difference.toString(2).length;
  const prefixLen = Math.min(a.prefixLen, b.prefixLen, bits - differing);
  return maskCidr(a, prefixLen);
}

function isEqual(a: Cidr, b: Cidr): boolean {
  return a.prefixLen === b.prefixLen && a.value === b.value;
}
