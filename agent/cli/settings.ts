/** The configuration that a command runs with: reads the file and the environment, takes the flags, refuses whatever is wrong. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { BaseConfig } from '../../compiler/nft/base.ts';
import type { LogConfig } from '../../compiler/nft/logging.ts';
import type { HostConfig } from '../../compiler/nft/host-config.ts';
import { printConfigIssue, resolveConfig } from '../config/config.ts';
import type { ConfigInput, ResolvedConfig } from '../config/config.ts';
import { rowOf, variableOf } from '../config/keys.ts';
import type { Config, ConfigName } from '../config/keys.ts';
import type { EngineConfig } from '../engine/engine.ts';
import { describeErrno } from '../errors.ts';
import { CommandError, EXIT } from './exit.ts';

/** Read when no other file is named and it is there. */
export const DEFAULT_CONFIG_FILE = '/etc/picket/picket.yaml';

export interface SettingsOptions {
  /** `--config`. */
  readonly config: string | undefined;
  /** From the cluster. */
  readonly defaults?: ConfigInput['defaults'];
}

/** Flags that are keys of the configuration too. */
export type KeyFlags = ConfigInput['flags'];

/**
 * Throws CommandError with exit code 2 for everything that is wrong, and for required keys that are empty; a required `node` that is
 * empty is the host's name.
 */
export function loadSettings(
  options: SettingsOptions & KeyFlags,
  required: readonly ConfigName[],
): Config {
  const { config: said, issues } = readSettings(options);
  if (issues.length > 0) {
    const text = issues.map(printConfigIssue).join('\n');
    throw new CommandError(
      `the configuration is not used, nothing is changed:\n${text}`,
      EXIT.usage,
    );
  }
  const isNodeOpen = said.node === '' && required.includes('node');
  const config = isNodeOpen ? { ...said, node: hostNode() } : said;
  for (const name of required) {
    if (config[name] === '') throw new CommandError(missing(name), EXIT.usage);
  }
  if (config.flowLogOutputs.includes('otlp') && config.flowLogOtlpEndpoint === '') {
    throw new CommandError(
      `flowLogOutputs has otlp, but ${missing('flowLogOtlpEndpoint')}`,
      EXIT.usage,
    );
  }
  return config;
}

/** Without judging the result. Throws CommandError when the file cannot be read. */
export function readSettings({
  config: path,
  defaults,
  node,
  manifests,
  kubeconfig,
  inCluster,
  netns,
}: SettingsOptions & KeyFlags): ResolvedConfig & { readonly file: string | undefined } {
  const file = readConfigFile(path);
  const flags = { node, manifests, kubeconfig, inCluster, netns: netns === '' ? undefined : netns };
  const weakest = defaults === undefined ? {} : { defaults };
  return { ...resolveConfig({ ...weakest, file, env: process.env, flags }), file: file?.source };
}

function readConfigFile(path: string | undefined): ConfigInput['file'] {
  const source = path ?? DEFAULT_CONFIG_FILE;
  try {
    return { source, text: readFileSync(source, 'utf8') };
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    if (path === undefined && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    const why = errno === undefined ? String(error) : describeErrno(-errno);
    const message = `reading the configuration ${source}: ${why}`;
    throw new CommandError(message, EXIT.usage, { cause: error });
  }
}

/** The name of this node where none is configured. Kubernetes writes node names in lower case. */
export function hostNode(): string {
  return hostname().replace(/\..*/s, '').toLowerCase();
}

function missing(name: ConfigName): string {
  const flag = rowOf(name).flag;
  const also = flag === undefined ? '' : `${flag}, `;
  return `no ${name}: say it with ${also}${variableOf(name)}, or ${name} in the configuration file`;
}

/** What the configuration means for the parts of the agent. */
export function engineConfig(config: Config): EngineConfig {
  const { workloadSourceSpoofing } = config;
  return { node: config.node, base: baseConfig(config), parse: { workloadSourceSpoofing } };
}

function logConfig(config: Config): LogConfig {
  const { flowLogGroup, flowLogVerdicts, flowLogRate, flowLogBurst } = config;
  const limit = flowLogRate === 0 ? undefined : { perSecond: flowLogRate, burst: flowLogBurst };
  return { group: flowLogGroup, verdicts: flowLogVerdicts, limit };
}

const TO_HOST = { Accept: 'accept', Drop: 'drop', Return: 'return' } as const;
const DENY = { Drop: 'drop', Reject: 'reject' } as const;

function baseConfig(config: Config): BaseConfig {
  const { serviceLoopPrevention, serviceCidrs } = config;
  const serviceLoop =
    serviceLoopPrevention === 'Disabled'
      ? ({ cidrs: [], action: 'drop' } as const)
      : { cidrs: serviceCidrs, action: DENY[serviceLoopPrevention] };
  return {
    interfacePrefixes: config.interfacePrefixes,
    endpointToHostAction: TO_HOST[config.endpointToHostAction],
    denyAction: DENY[config.denyAction],
    priority: config.filterPriority,
    dropInvalid: !config.disableConntrackInvalidCheck,
    banVxlan: !config.allowVxlanPacketsFromWorkloads,
    banIpip: !config.allowIpipPacketsFromWorkloads,
    vxlanPort: config.vxlanPort,
    serviceLoop,
    host: hostConfig(config),
    logging: logConfig(config),
  };
}

function hostConfig(config: Config): HostConfig {
  return {
    failsafeInbound: config.failsafeInboundHostPorts,
    failsafeOutbound: config.failsafeOutboundHostPorts,
    acceptMark: config.acceptMark,
    encapsulation: {
      ipip: config.ipipEnabled,
      vxlan: config.vxlanEnabled,
      wireguardPorts: {
        4: config.wireguardPort === 0 ? undefined : config.wireguardPort,
        6: config.wireguardPortV6 === 0 ? undefined : config.wireguardPortV6,
      },
      externalNodes: config.externalNodes,
    },
  };
}
