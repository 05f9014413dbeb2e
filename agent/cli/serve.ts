/**
 * What `picket run` serves beside enforcing: the control socket. Comes in: the agent of the moment and its configuration. Whatever cannot be
 * served is a warning: enforcement goes on.
 */
import { controlRoutes } from '../control/routes.ts';
import type { Governing } from '../control/routes.ts';
import type { Route } from '../control/route.ts';
import { openControlServer } from '../control/server.ts';
import type { ControlServer } from '../control/server.ts';
import { controlSocketPath } from '../control/socket-path.ts';
import type { Config } from '../config/keys.ts';
import { CounterReader } from '../dataplane/counters.ts';
import type { Native } from '../native/native.ts';
import type { Log } from '../obs/log.ts';
import type { Agent } from '../runner/agent.ts';

/** Lives as long as the process; the agents behind it change. */
export class Served {
  readonly #log: Log;
  readonly #counters: CounterReader;
  #governing: Governing | undefined;
  #control: ControlServer | undefined;

  constructor(native: Native, netns: string, log: Log) {
    this.#log = log;
    this.#counters = new CounterReader(native, netns);
  }

  /** The lock of the network namespace must be ours. `routes`: what others serve over the socket. */
  async open({ runDirectory, netns }: Config, routes: readonly Route[]): Promise<void> {
    const path = controlSocketPath(runDirectory, netns);
    const all = [...controlRoutes(() => this.#governing), ...routes];
    this.#control = await this.#try(`the control socket ${path}`, () =>
      openControlServer(path, all, this.#log),
    );
  }

  /** From now on questions are about this agent. */
  follow(agent: Agent, { node, netns }: Config): void {
    this.#governing = { agent, node, netns, counters: this.#counters };
  }

  async close(): Promise<void> {
    this.#governing = undefined;
    await this.#control?.close();
    this.#counters.close();
  }

  async #try(what: string, open: () => Promise<ControlServer>): Promise<ControlServer | undefined> {
    try {
      return await open();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#log.warn({ error: why }, `not served: ${what}; enforcement goes on`);
      return undefined;
    }
  }
}
