/** Options that several commands share, with one meaning and one help text. */
import { Option } from 'commander';
import { DEFAULT_CONFIG_FILE } from './settings.ts';

export type OutputFormat = 'text' | 'json';

/** What commands that have a configuration take; everything but `output` can be said in the file and the environment too. */
export interface ConfiguredOptions {
  readonly config: string | undefined;
  readonly manifests: string | undefined;
  readonly node: string | undefined;
  readonly netns: string | undefined;
  readonly output: OutputFormat;
}

export const configOption = (): Option =>
  new Option(
    '-c, --config <file>',
    `configuration; default: ${DEFAULT_CONFIG_FILE} where it exists (see picket config --help)`,
  );

export const manifestsOption = (): Option =>
  new Option(
    '-m, --manifests <dir>',
    'directory of YAML or JSON manifests, read with its subdirectories',
  );

export const nodeOption = (): Option =>
  new Option(
    '-n, --node <name>',
    'name of this node: pods whose spec.nodeName equals it are governed here',
  );

export const kubeconfigOption = (): Option =>
  new Option(
    '--kubeconfig <file>',
    'follow the API server that this kubeconfig names, besides the manifests',
  );

export const inClusterOption = (): Option =>
  new Option(
    '--in-cluster',
    'follow the API server of the cluster in which this runs as a pod, with its service account',
  );

export const netnsOption = (): Option =>
  new Option(
    '--netns <path>',
    'network namespace to work in, as a file like /run/netns/NAME; default: our own',
  );

export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'text for people, json for programs')
    .choices(['text', 'json'])
    .default('text');
