/** `picket compile`: what would be enforced, layer by layer. No kernel, no root. */
import { Command, Option } from 'commander';
import { printProgram } from '../../compiler/ir/print.ts';
import { lowerProgram } from '../../compiler/ir/program.ts';
import type {
  ResolvedEndpoint,
  ResolvedHostEndpoint,
  ResolvedPolicy,
  ResolvedTier,
} from '../../compiler/calc/resolved.ts';
import type { Direction } from '../../compiler/model/policy.ts';
import { HOST_STAGES, HOST_STAGE_NAMES, hostChain } from '../../compiler/nft/host-stages.ts';
import { endpointChain } from '../../compiler/nft/names.ts';
import { printTable } from '../../compiler/nft/print-table.ts';
import type { Engine } from '../engine/engine.ts';
import { CommandError, EXIT } from './exit.ts';
import { loadManifests } from './load.ts';
import { configOption, manifestsOption, nodeOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { loadSettings } from './settings.ts';
import { hasErrors, printIssues, printJson, printLine } from './report.ts';

const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];
const FAMILIES = [4, 6] as const;

type Layer = 'model' | 'ir' | 'nft';

interface CompileOptions extends ConfiguredOptions {
  readonly emit: Layer;
  readonly endpoint: string | undefined;
}

export function compileCommand(): Command {
  return new Command('compile')
    .summary('print what would be enforced, without a kernel')
    .description(
      'Compiles the manifests for one node and prints one layer: model (the checked resources), ir (per endpoint the\n' +
        'ordered rules) or nft (chains and sets in libnftnl notation). Needs neither root nor a kernel.',
    )
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(nodeOption())
    .addOption(
      new Option('-e, --emit <layer>', 'layer to print')
        .choices(['model', 'ir', 'nft'])
        .makeOptionMandatory(),
    )
    .option(
      '--endpoint <ns/pod|name>',
      'only this workload, or host endpoint by its name (ir and nft)',
    )
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 printed; 1 no such endpoint; 2 usage; 4 printed, but something is invalid or cannot be read: see the messages.

Example:
  picket compile --manifests policies --node n1 --emit ir --endpoint shop/web`,
    )
    .action(async (options: CompileOptions) => {
      process.exitCode = await compile(options);
    });
}

async function compile(options: CompileOptions): Promise<number> {
  const { engine, issues } = await loadManifests(loadSettings(options, ['manifests', 'node']));
  printIssues(issues, options.output);
  engine.compile();
  const endpoints = chooseEndpoints(engine, options.endpoint);
  EMIT[options.emit](engine, endpoints, options);
  return hasErrors(issues) ? EXIT.degraded : EXIT.good;
}

/** A workload or host endpoint of this node. */
interface Shown {
  /** `shop/web`; host endpoints have no namespace. */
  readonly id: string;
  readonly programs: readonly { readonly stage: string; readonly directed: DirectedProgram }[];
  /** Its own chains. */
  readonly chains: readonly string[];
}

interface DirectedProgram {
  readonly direction: Direction;
  readonly tiers: readonly ResolvedTier[];
  /** `undefined` = what no tier decides goes on. */
  readonly profiles: readonly string[] | undefined;
}

function showWorkload(resolved: ResolvedEndpoint): Shown {
  const { id } = resolved.endpoint;
  return {
    id,
    programs: DIRECTIONS.map((direction) => ({
      stage: direction,
      directed: { direction, ...resolved[direction] },
    })),
    chains: DIRECTIONS.map((direction) => endpointChain(direction, id)),
  };
}

function showHost(resolved: ResolvedHostEndpoint): Shown {
  const { name } = resolved.endpoint;
  const programs = HOST_STAGE_NAMES.flatMap((stage) => {
    const spec = HOST_STAGES[stage];
    const program = spec.programOf(resolved);
    return program === undefined
      ? []
      : [{ stage, directed: { direction: spec.direction, ...program } }];
  });
  return { id: name, programs, chains: programs.map(({ stage }) => hostChain(stage, name)) };
}

function chooseEndpoints(engine: Engine, wanted: string | undefined): Shown[] {
  const endpoints = [
    ...engine.endpoints().map(showWorkload),
    ...engine.hostEndpoints().map(({ resolved }) => showHost(resolved)),
  ];
  if (wanted === undefined) return endpoints;
  const found = endpoints.filter(({ id }) => id === wanted);
  if (found.length > 0) return found;
  const known = endpoints.map(({ id }) => id).sort();
  const list = known.length === 0 ? 'none' : known.slice(0, 20).join(', ');
  throw new CommandError(`no endpoint ${wanted} on this node; there is: ${list}`);
}

const EMIT: Readonly<
  Record<Layer, (engine: Engine, endpoints: readonly Shown[], options: CompileOptions) => void>
> = {
  model(engine, _endpoints, _options) {
    printJson(engine.store.resources().map(([key, resource]) => ({ key, resource })));
  },
  ir(engine, endpoints, { output }) {
    const policyOf = (id: string): ResolvedPolicy | undefined => engine.policy(id);
    const programs = endpoints.map(({ id, programs: all }) => ({
      endpoint: id,
      programs: all.flatMap(({ stage, directed: { direction, tiers, profiles } }) =>
        FAMILIES.map((family) => ({
          stage,
          isDecided: profiles !== undefined,
          ...lowerProgram({ tiers, profiles: profiles ?? [] }, policyOf, direction, family),
        })),
      ),
    }));
    if (output === 'json') return printJson(programs);
    for (const { endpoint, programs: all } of programs) {
      for (const { stage, isDecided, ...program } of all) {
        printLine(`endpoint ${endpoint} ${stage} IPv${program.family}`);
        printLine(printProgram(program, isDecided));
      }
    }
  },
  nft(engine, endpoints, { output, endpoint }) {
    const roots = endpoint === undefined ? undefined : endpoints.flatMap(({ chains }) => chains);
    const table = printTable(engine.table, roots);
    if (output === 'json') printJson({ table: 'inet picket', text: table });
    else printLine(table);
  },
};
