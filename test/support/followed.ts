/** A node's links, addresses and routes as `picket run` follows them: by events of the real kernel. For tests that wait for a change. */
import { HostNetworkWatch } from '../../agent/endpoints/host-network.ts';
import type { HostNetwork } from '../../agent/endpoints/placement.ts';
import { loadNative } from '../../agent/native/native.ts';
import type { KernelNode } from './kernel-node.ts';

/** Follows the router's network; `until` resolves with the first state that is as wanted. */
class Followed {
  readonly #watch: HostNetworkWatch;
  #wake: () => void = () => undefined;

  constructor(node: KernelNode) {
    this.#watch = new HostNetworkWatch(loadNative(), node.fabric.router.path, () => this.#wake());
  }

  current(): Promise<HostNetwork> {
    return this.#watch.current();
  }

  async until(isWanted: (network: HostNetwork) => boolean): Promise<HostNetwork> {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const network = await this.#watch.current();
      if (isWanted(network)) return network;
      await changed;
    }
  }

  close(): void {
    this.#watch.close();
  }
}

export async function withFollowed(
  node: KernelNode,
  run: (followed: Followed) => Promise<void>,
): Promise<void> {
  const followed = new Followed(node);
  try {
    await run(followed);
  } finally {
    followed.close();
  }
}
