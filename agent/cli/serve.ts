/**
 * What `picket run` serves beside enforcing: the control socket, health and metrics. Comes in: the agent of the moment and its configuration. Whatever cannot be
 * served is a warning: enforcement goes on.
 */
import { liveConditions, readyConditions } from '../control/agent-health.ts';
import { AgentMetrics } from '../control/agent-metrics.ts';
import { controlRoutes } from '../control/routes.ts';
import type { Governing } from '../control/routes.ts';
import type { Reply, Route } from '../control/route.ts';
import { openControlServer, openTcpServer } from '../control/server.ts';
import type { ControlServer } from '../control/server.ts';
import { controlSocketPath } from '../control/socket-path.ts';
import type { Config } from '../config/keys.ts';
import { CounterReader } from '../dataplane/counters.ts';
import type { FlowLogCounts } from '../flowlog/flow-log.ts';
import type { Native } from '../native/native.ts';
import { healthOf } from '../obs/health.ts';
import type { Condition } from '../obs/health.ts';
import type { Log } from '../obs/log.ts';
import { EXPOSITION_TYPE, printMetrics } from '../obs/metrics.ts';
import type { Agent } from '../runner/agent.ts';
import { oracleConfig } from './scene.ts';

/** Lives as long as the process; the agents behind it change. */
export class Served {
  readonly #log: Log;
  readonly #counters: CounterReader;
  #governing: Governing | undefined;
  #control: ControlServer | undefined;
  readonly #metrics: AgentMetrics;
  #flowLog: () => FlowLogCounts | undefined = () => undefined;
  #hasRules = false;
  /** By what is served where. */
  readonly #tcp = new Map<string, ControlServer>();

  constructor(native: Native, netns: string, log: Log) {
    this.#log = log;
    this.#counters = new CounterReader(native, netns);
    this.#metrics = new AgentMetrics({
      counters: this.#counters,
      hasRules: () => this.#hasRules,
      flowLog: () => this.#flowLog(),
      now: Date.now,
    });
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
  async follow(
    agent: Agent,
    config: Config,
    flowLog: () => FlowLogCounts | undefined,
  ): Promise<void> {
    const { node, netns } = config;
    const oracle = oracleConfig(config);
    this.#governing = { agent, node, netns, counters: this.#counters, oracle, flowLog };
    this.#flowLog = flowLog;
    this.#hasRules = config.ruleMetrics;
    this.#metrics.follow(agent);
    await this.#listen(config);
  }

  async close(): Promise<void> {
    this.#governing = undefined;
    this.#metrics.close();
    await this.#control?.close();
    for (const server of this.#tcp.values()) await server.close();
    this.#counters.close();
  }

  /** Health and metrics, at one address or two; what is served as before keeps its server. */
  async #listen({ healthAddress, metricsAddress }: Config): Promise<void> {
    const routes = new Map<string, readonly Route[]>([[healthAddress, this.#healthRoutes()]]);
    routes.set(metricsAddress, [...(routes.get(metricsAddress) ?? []), this.#metricsRoute()]);
    routes.delete('');
    const wanted = new Map(
      [...routes].map(([address, all]) => {
        return [`${all.map(({ path }) => path).join(', ')} at ${address}`, { address, all }];
      }),
    );
    for (const [what, server] of this.#tcp) {
      if (wanted.has(what)) continue;
      this.#tcp.delete(what);
      await server.close();
    }
    for (const [what, { address, all }] of wanted) {
      if (this.#tcp.has(what)) continue;
      const open = (): Promise<ControlServer> => openTcpServer(toListen(address), all, this.#log);
      const server = await this.#try(what, open);
      if (server !== undefined) this.#tcp.set(what, server);
    }
  }

  #healthRoutes(): readonly Route[] {
    return [
      healthRoute('/livez', () => liveConditions(this.#governing?.agent)),
      healthRoute('/readyz', () => readyConditions(this.#governing?.agent, Date.now())),
    ];
  }

  #metricsRoute(): Route {
    return {
      method: 'GET',
      path: '/metrics',
      handle: async () => ({
        kind: 'text',
        contentType: EXPOSITION_TYPE,
        body: printMetrics(await this.#metrics.families()),
      }),
    };
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

function healthRoute(path: string, conditions: () => readonly Condition[]): Route {
  return {
    method: 'GET',
    path,
    handle: ({ query }): Reply => ({
      kind: 'text',
      ...healthOf(conditions(), query.has('verbose')),
    }),
  };
}

/** `127.0.0.1:9099`, `[::1]:9099`: the form that the configuration has checked. */
function toListen(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return {
    host: address.slice(0, at).replaceAll(/[[\]]/g, ''),
    port: Number(address.slice(at + 1)),
  };
}
