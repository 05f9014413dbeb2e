/** The flow logs of a running agent, put together as the configuration says. */
import { dirname } from 'node:path';
import { mkdirSync } from 'node:fs';
import type { ResolvedHostEndpoint } from '../../compiler/calc/resolved.ts';
import type { WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import manifest from '../../package.json' with { type: 'json' };
import type { Config } from '../config/keys.ts';
import { controlSocketPath } from '../control/socket-path.ts';
import type { EngineConfig } from '../engine/engine.ts';
import { sceneOf } from '../explain/scene.ts';
import { openFileOutput } from '../flowlog/file-output.ts';
import { FlowLog } from '../flowlog/flow-log.ts';
import { openJournalOutput } from '../flowlog/journal-output.ts';
import { openOtlpOutput } from '../flowlog/otlp-output.ts';
import type { FlowOutput, OutputTrouble } from '../flowlog/output.ts';
import type { FlowRing } from '../flowlog/ring.ts';
import { openStdoutOutput } from '../flowlog/stdout-output.ts';
import type { Native } from '../native/native.ts';
import type { Log } from '../obs/log.ts';
import type { Agent } from '../runner/agent.ts';
import type { OutputFormat } from './options.ts';
import { oracleConfig } from './scene.ts';

export interface FlowLogSurroundings {
  readonly native: Native;
  readonly log: Log;
  /** Of the agent's own log, which standard output is shared with. */
  readonly output: OutputFormat;
  readonly ring: FlowRing;
}

/** Flow logs of one agent after the other: `engine` has to be given to the agent, then the agent to `follow`. */
export interface AgentFlowLogs {
  readonly engine: EngineConfig;
  readonly flowLog: FlowLog;
  follow(agent: Agent): void;
  close(): Promise<void>;
}

export function openFlowLogs(
  config: Config,
  engine: EngineConfig,
  { native, log, output, ring }: FlowLogSurroundings,
): AgentFlowLogs {
  let agent: Agent | undefined;
  const trouble: OutputTrouble = (message) => log.warn(message);
  const flowLog = new FlowLog({
    native,
    netns: config.netns,
    node: config.node,
    group: config.flowLogGroup,
    flushMs: config.flowLogFlushSeconds * 1_000,
    ruleFile: ruleFile(config),
    ring,
    outputs: config.flowLogOutputs.map((name) => OUTPUTS[name](config, native, trouble, output)),
    endpointAt: (ifname) => endpointAt(agent, ifname),
    hostEndpointAt: (ifname) => hostEndpointAt(agent, ifname),
    workload: (id) => agent?.engine.endpoint(id),
    ruleChanges: () => agent?.engine.compiler.takeRuleChanges() ?? new Map(),
    scene: () => {
      const store = agent?.engine.store ?? { resources: () => [], locate: () => undefined };
      return sceneOf(store, { config: oracleConfig(config), node: config.node, live: undefined });
    },
    log,
    now: Date.now,
  });
  return {
    engine: { ...engine, onResource: (change) => flowLog.takeResource(change) },
    flowLog,
    follow(followed) {
      agent = followed;
      flowLog.start();
    },
    close: () => flowLog.close(),
  };
}

function endpointAt(agent: Agent | undefined, ifname: string): WorkloadEndpoint | undefined {
  const engine = agent?.engine;
  const at = engine?.endpoints().find(({ endpoint }) => {
    return engine.compiler.endpoint(endpoint.id)?.placement.interfaces.includes(ifname);
  });
  return at?.endpoint;
}

/** The wildcard has what is no other's, but for `lo`. */
function hostEndpointAt(
  agent: Agent | undefined,
  ifname: string,
): ResolvedHostEndpoint | undefined {
  const hosts = agent?.engine.hostEndpoints() ?? [];
  const named = hosts.find(({ placement }) => placement.interfaces.includes(ifname));
  const wildcard = ifname === 'lo' ? undefined : hosts.find(({ placement }) => placement.isDefault);
  return (named ?? wildcard)?.resolved;
}

/** Beside the control socket, and named like it. */
function ruleFile({ runDirectory, netns }: Config): string {
  const socket = controlSocketPath(runDirectory, netns);
  try {
    mkdirSync(dirname(socket), { recursive: true, mode: 0o750 });
  } catch {
    // Told when the file is written: nothing that is enforced depends on it.
  }
  return socket.replace(/\.sock$/, '.rules.json');
}

type OpenOutput = (
  config: Config,
  native: Native,
  trouble: OutputTrouble,
  format: OutputFormat,
) => FlowOutput;

const OUTPUTS: Readonly<Record<Config['flowLogOutputs'][number], OpenOutput>> = {
  stdout: (_config, native, trouble, format) => openStdoutOutput(native, format, trouble),
  file: ({ flowLogFile, flowLogFileMegabytes, flowLogFileCount }, _native, trouble) =>
    openFileOutput({
      path: flowLogFile,
      maxBytes: flowLogFileMegabytes * 2 ** 20,
      keep: flowLogFileCount,
      trouble,
    }),
  journald: (_config, native, trouble) => openJournalOutput(native, trouble),
  otlp: ({ flowLogOtlpEndpoint, node }, _native, trouble) =>
    openOtlpOutput({
      endpoint: flowLogOtlpEndpoint,
      node,
      version: manifest.version,
      trouble,
    }),
};
