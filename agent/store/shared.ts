/**
 * Equal parts of resources, kept once. Comes in: accepted resources; goes out: the same, with parts that an earlier one had. Pods of one
 * deployment have labels, ports and profiles alike, and 20,000 copies of them take more memory than everything else.
 */
import type { Resource } from '../../compiler/model/cluster.ts';

/** Parts remembered; beyond that it starts anew. Lists come in the order of names, so that those who are alike come together. */
const MAX_PARTS = 5_000;

export class Shared {
  readonly #parts = new Map<string, unknown>();

  /** `before` = the resource that is replaced: most changes leave most parts as they were. */
  share(resource: Resource, before: Resource | undefined): Resource {
    if (resource.kind !== 'WorkloadEndpoint') return resource;
    const { node, namespace, labels, profiles, ports } = resource;
    const old = before?.kind === 'WorkloadEndpoint' ? before : undefined;
    return {
      ...resource,
      node: this.#part(node, old?.node),
      namespace: this.#part(namespace, old?.namespace),
      labels: this.#part(labels, old?.labels),
      profiles: this.#part(profiles, old?.profiles),
      ports: this.#part(ports, old?.ports),
    };
  }

  #part<T>(part: T, old: T | undefined): T {
    const text = JSON.stringify(part);
    if (old !== undefined && JSON.stringify(old) === text) return old;
    const known = this.#parts.get(text);
    // Parts of equal text are equal, whatever they are part of.
    if (known !== undefined) return known as T;
    if (this.#parts.size >= MAX_PARTS) this.#parts.clear();
    this.#parts.set(text, part);
    return part;
  }
}
