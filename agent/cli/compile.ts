/** `picket compile`: what would be enforced, layer by layer. No kernel, no root. */
import { Command, Option } from 'commander';
import { printProgram } from '../../compiler/ir/print.ts';
import { lowerProgram } from '../../compiler/ir/program.ts';
import type { ResolvedEndpoint } from '../../compiler/calc/resolved.ts';
import { printTable } from '../../compiler/nft/print-table.ts';
import type { Engine } from '../engine/engine.ts';
import { CommandError, EXIT } from './exit.ts';
import { loadManifests } from './load.ts';
import { configOption, manifestsOption, nodeOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { loadSettings } from './settings.ts';
import { hasErrors, printIssues, printJson, printLine } from './report.ts';

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
    .option('--endpoint <ns/pod>', 'only this endpoint (ir and nft)')
    .addOption(outputOption())
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

function chooseEndpoints(engine: Engine, wanted: string | undefined): ResolvedEndpoint[] {
  const endpoints = engine.endpoints();
  if (wanted === undefined) return endpoints;
  const found = endpoints.filter(({ endpoint }) => endpoint.id === wanted);
  if (found.length > 0) return found;
  const known = endpoints.map(({ endpoint }) => endpoint.id).sort();
  const list = known.length === 0 ? 'none' : known.slice(0, 20).join(', ');
  throw new CommandError(`no endpoint ${wanted} on this node; there is: ${list}`);
}

const EMIT: Readonly<
  Record<Layer, (engine: Engine, endpoints: ResolvedEndpoint[], options: CompileOptions) => void>
> = {
  model(engine, _endpoints, _options) {
    printJson(engine.store.resources().map(([key, resource]) => ({ key, resource })));
  },
  ir(engine, endpoints, { output }) {
    const programs = endpoints.map((resolved) => ({
      endpoint: resolved.endpoint.id,
      programs: (['ingress', 'egress'] as const).flatMap((direction) =>
        ([4, 6] as const).map((family) =>
          lowerProgram(resolved[direction], (id) => engine.policy(id), direction, family),
        ),
      ),
    }));
    if (output === 'json') return printJson(programs);
    for (const { endpoint, programs: all } of programs) {
      for (const program of all) {
        printLine(`endpoint ${endpoint} ${program.direction} IPv${program.family}`);
        printLine(printProgram(program));
      }
    }
  },
  nft(engine, endpoints, { output, endpoint }) {
    const roots = endpoint === undefined ? undefined : endpoints.map((each) => each.endpoint.id);
    const table = printTable(engine.table, roots);
    if (output === 'json') printJson({ table: 'inet picket', text: table });
    else printLine(table);
  },
};
