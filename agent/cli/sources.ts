/** Where `picket run` takes its objects from: a directory, the Kubernetes API, or both. In: the configuration. Out: sources, not started yet. */
import { existsSync } from 'node:fs';
import { DEFAULT_CONFIG } from '../config/keys.ts';
import type { Config } from '../config/keys.ts';
import { AgentError } from '../errors.ts';
import { Access } from '../kube/access.ts';
import { readInCluster, readKubeconfig } from '../kube/kubeconfig.ts';
import type { Connection } from '../kube/kubeconfig.ts';
import { KubernetesSource } from '../kube/kubernetes-source.ts';
import { KUBE_LIMITS, REAL_TIMING } from '../kube/timing.ts';
import { DirectorySource } from '../watch/directory.ts';
import type { Source } from '../watch/source.ts';
import { CommandError, EXIT } from './exit.ts';
import type { ConfiguredOptions } from './options.ts';
import { loadSettings } from './settings.ts';
import type { KeyFlags, SettingsOptions } from './settings.ts';

export interface FollowOptions extends ConfiguredOptions {
  readonly kubeconfig: string | undefined;
  readonly inCluster: boolean | undefined;
}

/** Like `loadSettings`, and throws CommandError where there is nothing to follow, or the kubeconfig cannot be used. */
export function loadFollowSettings(options: SettingsOptions & KeyFlags): Config {
  const config = loadSettings(options, ['node']);
  if (config.kubeconfig !== '' && config.inCluster) {
    throw new CommandError('--kubeconfig and --in-cluster exclude each other', EXIT.usage);
  }
  if (connectionOf(config) === undefined && config.manifests === '') {
    const choices = '--manifests DIR, --kubeconfig FILE or --in-cluster';
    throw new CommandError(`nothing to take policies from: say it with ${choices}`, EXIT.usage);
  }
  return config;
}

/** The directory of a service: what it knows of last good versions outlives a change of the configuration. */
export class KeptDirectory {
  #path = '';
  #source = new DirectorySource('');

  /** The one before, while the path is the same. */
  at(path: string): DirectorySource {
    if (path !== this.#path) this.#source = new DirectorySource(path);
    this.#path = path;
    return this.#source;
  }
}

/** In the order of their precedence. Throws CommandError where the kubeconfig cannot be used. */
export function openSources(config: Config, directory: KeptDirectory): Source[] {
  const connection = connectionOf(config);
  if (connection === undefined) return [directory.at(config.manifests)];
  const access = new Access(() => connectionOf(config) ?? connection, process.env);
  const { manifests, node } = config;
  const kubernetes = new KubernetesSource({
    node,
    access,
    timing: REAL_TIMING,
    limits: KUBE_LIMITS,
  });
  const isWanted = manifests !== DEFAULT_CONFIG.manifests || existsSync(manifests);
  return manifests !== '' && isWanted ? [directory.at(manifests), kubernetes] : [kubernetes];
}

/** Where objects of the Kubernetes API come from; `undefined` = no API server is configured. */
export function upstreamOf(config: Config): URL | undefined {
  const connection = connectionOf(config);
  return connection && new URL(connection.cluster.server);
}

function connectionOf({ kubeconfig, inCluster }: Config): Connection | undefined {
  try {
    if (inCluster) return readInCluster(process.env);
    return kubeconfig === '' ? undefined : readKubeconfig(kubeconfig);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    throw new CommandError(error.message, EXIT.usage, { cause: error });
  }
}
