/**
 * `picket diff`: the kernel against what it should have, or other manifests against what runs: who would reach whom otherwise. Changes nothing.
 */
import { Command, Option } from 'commander';
import type { Config } from '../config/keys.ts';
import { DESIRED_PATH } from '../control/routes.ts';
import { compareAll } from '../diff/compare-all.ts';
import type { Keyed } from '../diff/compare-all.ts';
import { groupChanges } from '../diff/groups.ts';
import { printComparison } from '../diff/print.ts';
import {
  desiredListable,
  diffObjects,
  kernelListable,
  printDifferences,
  tableObjects,
} from '../diff/table-diff.ts';
import type { TableObject } from '../diff/table-diff.ts';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { readHostNetwork } from '../endpoints/host-network.ts';
import { sceneOf } from '../explain/scene.ts';
import type { Scene } from '../explain/scene.ts';
import { loadNative } from '../native/native.ts';
import { objectKey } from '../watch/source.ts';
import { askRows } from './ask.ts';
import { CommandError, EXIT } from './exit.ts';
import { askObjects } from './live-scene.ts';
import { loadManifests } from './load.ts';
import { configOption, manifestsOption, netnsOption, nodeOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printIssues, printJson, printLine } from './report.ts';
import { loadSettings } from './settings.ts';

interface DiffOptions extends ConfiguredOptions {
  readonly add: boolean;
  readonly kernel: boolean;
}

export function diffCommand(): Command {
  return new Command('diff')
    .summary('what differs: the kernel from what it should have, or manifests from what runs')
    .description(
      'Without --manifests: compares the kernel with what the running agent wants there, object by object.\n' +
        'With --manifests DIR: compares DIR with what the running agent has, and says which pairs of endpoints would change\n' +
        'their verdict, with a packet for each that picket explain can be asked about. Nothing is changed.',
    )
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(
      new Option(
        '--add',
        'DIR is added to what runs, and replaces what has the same name; without it, DIR is everything',
      ).default(false),
    )
    .addOption(
      new Option(
        '--kernel',
        'compare the kernel with DIR, object by object, without an agent; takes --node too',
      ).default(false),
    )
    .addOption(nodeOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Pairs of workloads, of a workload and addresses outside, and what host endpoints judge: who reaches the host, whom it reaches, what it
forwards, by which interface. Ends that rules cannot tell apart are compared once. Ports, protocols and ICMP types are those that rules
of either side name, and their neighbours. Of this node the interfaces are known; of others those that their host endpoints name.

Examples:
  picket diff
  picket diff --manifests policies
  picket diff --manifests new-policy.yaml --add
  picket diff --kernel --manifests policies --node "$(hostname)"

Exit codes: 0 nothing differs; 3 something does; 1 not compared; 2 usage.`,
    )
    .action(async (options: DiffOptions) => {
      process.exitCode = await diff(options);
    });
}

async function diff(options: DiffOptions): Promise<number> {
  const { manifests, kernel, add } = options;
  if ((kernel || add) && manifests === undefined) {
    throw new CommandError(`${kernel ? '--kernel' : '--add'} needs --manifests DIR`, EXIT.usage);
  }
  if (kernel && add) throw new CommandError('--kernel and --add exclude each other', EXIT.usage);
  if (manifests !== undefined && !kernel) return diffWorlds(options);
  const config = loadSettings(options, kernel ? ['manifests', 'node'] : []);
  const desired = kernel ? await compiled(config, options) : await wanted(config);
  const dataplane = new NetlinkDataplane(loadNative(), config.netns);
  try {
    const differences = diffObjects(tableObjects(kernelListable(await dataplane.dump())), desired);
    if (options.output === 'json') printJson({ differences });
    else for (const line of printDifferences(differences)) printLine(line);
    return differences.length === 0 ? EXIT.good : EXIT.denied;
  } finally {
    dataplane.close();
  }
}

/** What the manifests are compiled to, on this machine as it is. */
async function compiled(config: Config, { output }: DiffOptions): Promise<readonly TableObject[]> {
  const { engine, issues, objects } = await loadManifests(config);
  printIssues(issues, output);
  if (objects === 0) throw new CommandError(`no usable manifest in ${config.manifests}`);
  engine.setNetwork(await readHostNetwork(loadNative(), config.netns));
  return [...tableObjects(desiredListable(engine.compile()))];
}

/** What the running agent wants. */
async function wanted(config: Config): Promise<readonly TableObject[]> {
  const hint =
    'start one with picket run, or compare with files: --kernel --manifests DIR --node NAME';
  const rows = (await askRows(config, DESIRED_PATH, hint)) as (TableObject | { end: number })[];
  const last = rows.at(-1);
  if (last === undefined || !('end' in last)) {
    throw new CommandError('the agent ended while it answered: ask again');
  }
  return rows.slice(0, -1) as TableObject[];
}

async function diffWorlds(options: DiffOptions): Promise<number> {
  const config = loadSettings(options, ['manifests']);
  const { engine, issues, objects } = await loadManifests(config);
  printIssues(issues, options.output);
  if (objects === 0) throw new CommandError(`no usable manifest in ${config.manifests}`);
  const hint = 'start one with picket run, or compare with the kernel: --kernel --node NAME';
  const running = await askObjects(config, hint);
  const before: Keyed = running.objects.resources();
  const own: Keyed = engine.store.resources();
  const after = options.add ? added(before, own) : own;
  warnOfNobody(before, after, options);
  const scene = (resources: Keyed): Scene =>
    sceneOf(storeOf(resources, running.objects, engine.store), {
      config: running.oracle,
      node: undefined,
      live: { node: running.node, interfaces: running.interfaces },
    });
  const scenes = { before: scene(before), after: scene(after) };
  const comparison = compareAll({ before, after }, scenes);
  const groups = groupChanges(comparison.changes);
  const { changes: _, all: __, ...rest } = comparison;
  if (options.output === 'json') printJson({ ...rest, groups, issues });
  else for (const line of printComparison(comparison, groups)) printLine(line);
  return groups.length === 0 ? EXIT.good : EXIT.denied;
}

/** Keys of the running agent begin with their source. */
function added(before: Keyed, own: Keyed): Keyed {
  const replaced = new Set(own.map(([key]) => key));
  return [...before.filter(([key]) => !replaced.has(objectKey(key))), ...own];
}

function hasPods(all: Keyed): boolean {
  return all.some(([, { kind }]) => kind === 'WorkloadEndpoint');
}

function warnOfNobody(before: Keyed, after: Keyed, { add, output }: DiffOptions): void {
  if (add || output === 'json' || !hasPods(before) || hasPods(after)) return;
  process.stderr.write(
    'warning: the manifests have no pods at all: --add compares what they would do to those that run\n',
  );
}

/** Lines of the manifests' own objects, and of those that run. */
function storeOf(
  resources: Keyed,
  running: Parameters<typeof sceneOf>[0],
  manifests: Parameters<typeof sceneOf>[0],
): Parameters<typeof sceneOf>[0] {
  return {
    resources: () => resources.map(([key, resource]) => [key, resource]),
    locate: (key, path) => running.locate(key, path) ?? manifests.locate(key, path),
  };
}
