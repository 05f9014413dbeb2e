/** Options that several commands share, with one meaning and one help text. */
import { Option } from 'commander';

export type OutputFormat = 'text' | 'json';

export interface ManifestOptions {
  readonly manifests: string;
  readonly output: OutputFormat;
}

export interface NodeOptions extends ManifestOptions {
  readonly node: string;
}

export interface KernelOptions extends NodeOptions {
  readonly netns: string;
}

export const manifestsOption = (): Option =>
  new Option(
    '-m, --manifests <dir>',
    'directory of YAML or JSON manifests, read with its subdirectories',
  ).makeOptionMandatory();

export const nodeOption = (): Option =>
  new Option(
    '-n, --node <name>',
    'name of this node: pods whose spec.nodeName equals it are governed here',
  ).makeOptionMandatory();

export const netnsOption = (): Option =>
  new Option(
    '--netns <path>',
    'network namespace to work in, as a file like /run/netns/NAME; default: our own',
  ).default('', 'our own');

export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'text for people, json for programs')
    .choices(['text', 'json'])
    .default('text');
