/** `picket get`: what is realised on this node, in effective order, as the running agent has it. */
import { Argument, Command } from 'commander';
import { REALISED_PATHS } from '../control/routes.ts';
import type { RealisedEndpoint } from '../control/realised-endpoints.ts';
import type { RealisedPolicy, RealisedSet, Rows } from '../control/realised.ts';
import { printEndpoint, printPolicy, printSet } from '../control/realised-print.ts';
import { ask } from './ask.ts';
import { CommandError, EXIT } from './exit.ts';
import { configOption, netnsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printJson, printLine } from './report.ts';
import { loadSettings } from './settings.ts';

type Kind = keyof typeof REALISED_PATHS;

export function getCommand(): Command {
  return new Command('get')
    .summary('list what is realised here: endpoints, policies or sets')
    .description(
      'Asks the running agent what is in force on this node:\n' +
        '  endpoints: interfaces, addresses, and policies in order of judgement\n' +
        '  policies:  rules, what each has matched, and the endpoints that they govern\n' +
        '  sets:      members of the address sets, and the policies that refer to them',
    )
    .addArgument(
      new Argument('<kind>', 'what to list').choices(Object.keys(REALISED_PATHS) as Kind[]),
    )
    .argument(
      '[name]',
      'only this one: NS/POD, a host endpoint, NS/POLICY, POLICY, or a set of rules',
    )
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Packets are counted where a rule decides: those of a connection that is known already count nowhere.

Examples:
  picket get endpoints
  picket get endpoints shop/web
  picket get policies shop/allow-web -o json
  picket get sets

Exit codes: 0 listed; 1 no agent is running, or nothing has that name; 2 usage.`,
    )
    .action(async (kind: Kind, name: string | undefined, options: ConfiguredOptions) => {
      process.exitCode = await get(kind, name, options);
    });
}

async function get(
  kind: Kind,
  name: string | undefined,
  options: ConfiguredOptions,
): Promise<number> {
  const config = loadSettings(options, []);
  const found = (await ask(config, REALISED_PATHS[kind], { name })) as Rows<unknown>;
  if (name !== undefined && found.total === 0) {
    const all = kind === 'sets' ? 'picket get sets' : `picket get ${kind}`;
    const why = kind === 'policies' ? ', or it governs nothing here' : '';
    throw new CommandError(`there is no ${name} on this node${why}; ${all} lists what there is`);
  }
  if (options.output === 'json') printJson(found);
  else PRINT[kind](found);
  return EXIT.good;
}

/** The agent answers with what realised.ts makes, in the same version of this program. */
const PRINT: Readonly<Record<Kind, (found: Rows<unknown>) => void>> = {
  endpoints: (found) => print(found as Rows<RealisedEndpoint>, printEndpoint),
  policies: (found) => print(found as Rows<RealisedPolicy>, printPolicy),
  sets: (found) => print(found as Rows<RealisedSet>, printSet),
};

function print<T>({ total, rows }: Rows<T>, printOne: (row: T) => readonly string[]): void {
  if (total === 0) printLine('none');
  for (const [index, row] of rows.entries()) {
    if (index > 0) printLine('');
    for (const line of printOne(row)) printLine(line);
  }
  if (total > rows.length) printLine(`\nand ${total - rows.length} more: ask for one by its name`);
}
