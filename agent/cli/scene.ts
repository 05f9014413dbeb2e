/** Manifests as a scene for questions; the part that explain and test have in common. */
import { networkInterfaces } from 'node:os';
import { Option } from 'commander';
import { toAddress } from '../../compiler/model/ip.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../compiler/oracle/world.ts';
import type { HostInterface, OracleConfig } from '../../compiler/oracle/world.ts';
import type { Config } from '../config/keys.ts';
import { unknownNode } from '../explain/ends.ts';
import { sceneOf } from '../explain/scene.ts';
import type { Scene } from '../explain/scene.ts';
import { CommandError } from './exit.ts';
import { loadManifests } from './load.ts';
import type { ReportedIssue } from './report.ts';
import { loadSettings } from './settings.ts';
import type { SettingsOptions } from './settings.ts';

export const judgeOption = (): Option =>
  new Option('-n, --node <name>', 'only what this node judges; default: each node, its own pods');

export const liveOption = (): Option =>
  new Option('--live', 'this machine is that node: its interfaces and addresses count');

export interface SceneFlags extends SettingsOptions {
  readonly manifests: string | undefined;
  /** Only the flag counts: which node the configuration is of does not matter to a question about a cluster. */
  readonly node: string | undefined;
  readonly live?: boolean | undefined;
}

/** Throws CommandError where there is nothing to ask about. */
export async function loadScene({
  config: file,
  manifests,
  node: flag,
  live = false,
}: SceneFlags): Promise<{ readonly scene: Scene; readonly issues: readonly ReportedIssue[] }> {
  const settings = { config: file, manifests, node: flag, netns: undefined };
  const config = loadSettings(settings, live ? ['manifests', 'node'] : ['manifests']);
  const node = live ? config.node : flag;
  const { engine, issues, objects } = await loadManifests(config);
  if (objects === 0) {
    const why = issues.map(({ message }) => message).join('; ');
    throw new CommandError(
      `no usable manifest in ${config.manifests}${why === '' ? '' : `: ${why}`}`,
    );
  }
  const scene = sceneOf(engine.store, {
    config: oracleConfig(config),
    node,
    live: live ? { node: config.node, interfaces: ownInterfaces(config) } : undefined,
  });
  const unknown = unknownNode(scene);
  if (unknown !== undefined) throw new CommandError(unknown);
  return { scene, issues };
}

/** Those that are up. */
function ownInterfaces({ interfacePrefixes }: Config): readonly HostInterface[] {
  return Object.entries(networkInterfaces()).map(([name, list = []]) => ({
    name,
    addresses: list.flatMap(({ address }) => toAddress(address) ?? []),
    isWorkload: interfacePrefixes.some((prefix) => name.startsWith(prefix)),
  }));
}

export function oracleConfig(config: Config): OracleConfig {
  return {
    ...DEFAULT_ORACLE_CONFIG,
    defaultEndpointToHostAction: config.endpointToHostAction,
    vxlanPort: config.vxlanPort,
    allowVxlanFromWorkloads: config.allowVxlanPacketsFromWorkloads,
    allowIpipFromWorkloads: config.allowIpipPacketsFromWorkloads,
    allowSourceSpoofing: config.workloadSourceSpoofing === 'Any',
    denyInvalid: !config.disableConntrackInvalidCheck,
    failsafes: {
      ingress: config.failsafeInboundHostPorts,
      egress: config.failsafeOutboundHostPorts,
    },
    ipip: config.ipipEnabled,
    vxlan: config.vxlanEnabled,
    externalNodes: config.externalNodes,
    wireguardPorts: {
      ...(config.wireguardPort === 0 ? {} : { 4: config.wireguardPort }),
      ...(config.wireguardPortV6 === 0 ? {} : { 6: config.wireguardPortV6 }),
    },
  };
}
