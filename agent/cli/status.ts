/** `picket status`: one screen on what is enforced here, and everything that is not as it should be. Works without a running agent too. */
import { Command } from 'commander';
import type { KernelTable } from '../../compiler/nft/table.ts';
import type { Config } from '../config/keys.ts';
import { askAgent, ControlError } from '../control/client.ts';
import { STATUS_PATH } from '../control/routes.ts';
import { printGoverned, printStatus } from '../control/status-print.ts';
import type { Status } from '../control/status.ts';
import { NetlinkDataplane } from '../dataplane/netlink-dataplane.ts';
import { AgentError } from '../errors.ts';
import { loadNative } from '../native/native.ts';
import { socketOf } from './ask.ts';
import { EXIT } from './exit.ts';
import { settingsAnyway } from './guarded.ts';
import { runningAgent } from './lock.ts';
import { configOption, netnsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printJson, printLine } from './report.ts';
import { printAlarms, printOrigin, readStanding } from './standing.ts';
import type { Standing } from './standing.ts';

export function statusCommand(): Command {
  return new Command('status')
    .summary('what is enforced here, how old it is, and what is wrong')
    .description(
      'Asks the running agent: sources and their age, what is in force, the last apply, repairs of the table and who made them\n' +
        'necessary, objects that the kernel or the parser refused. Without a running agent it looks at the kernel.',
    )
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 in sync and nothing is wrong; 4 enforcing, but degraded: see the lines with "!" and "***"; 1 no agent is
            running, or it cannot be asked, or picket panic-open has opened everything. Without an agent the kernel enforces
            what it has; the message says whether that is anything.

Examples:
  picket status
  picket status -o json | jq .problems`,
    )
    .action(async (options: ConfiguredOptions) => {
      process.exitCode = await status(options);
    });
}

async function status(options: ConfiguredOptions): Promise<number> {
  const config = settingsAnyway(options);
  const standing = readStanding(config);
  const alarms = printAlarms(standing);
  try {
    // The agent answers with what `readStatus` makes, in the same version of this program.
    const found = (await askAgent(socketOf(config), STATUS_PATH)) as Status;
    if (options.output === 'json') printJson({ running: true, ...found, standing });
    else for (const line of [...alarms, ...printStatus(found)]) printLine(line);
    if (standing.panicOpen !== undefined) return EXIT.failed;
    const isGood = found.state === 'in-sync' && found.problems.length + alarms.length === 0;
    return isGood ? EXIT.good : EXIT.degraded;
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    return withoutAgent(config, standing, error, options);
  }
}

async function withoutAgent(
  config: Config,
  standing: Standing,
  { message, fault }: ControlError,
  { output }: ConfiguredOptions,
): Promise<number> {
  const pid = await runningAgent(config.netns);
  const kernel = await readKernel(config.netns);
  if (output === 'json') {
    printJson({ running: pid !== undefined, pid, error: message, fault, kernel, standing });
    return EXIT.failed;
  }
  const head =
    pid === undefined
      ? `NOT RUNNING: ${message}`
      : `an agent is running (process ${pid}), but cannot be asked: ${message}`;
  for (const line of [...printAlarms(standing), head]) printLine(line);
  printLine(`  kernel: ${printKernel(kernel)}`);
  if (kernel.state === 'enforcing') printLine(`  rules:  ${printOrigin(standing, Date.now())}`);
  return EXIT.failed;
}

type Kernel =
  | {
      readonly state: 'enforcing';
      readonly chains: number;
      readonly sets: number;
      readonly endpoints: number;
      readonly hostEndpoints: number;
    }
  | { readonly state: 'nothing' }
  | { readonly state: 'unknown'; readonly error: string };

async function readKernel(netns: string): Promise<Kernel> {
  try {
    const dataplane = new NetlinkDataplane(loadNative(), netns);
    try {
      return describeTable(await dataplane.dump());
    } finally {
      dataplane.close();
    }
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { state: 'unknown', error: error.message };
  }
}

function describeTable(table: KernelTable | undefined): Kernel {
  if (table === undefined) return { state: 'nothing' };
  const chains = [...table.chains.keys()];
  // Each local endpoint has one: see endpointChain, and hostChain.
  const hostEndpoints = chains.filter((name) => name.startsWith('host-ingress/')).length;
  const endpoints = chains.filter((name) => name.startsWith('to-') && name !== 'to-host').length;
  const sets = table.sets.size;
  return { state: 'enforcing', chains: chains.length, sets, endpoints, hostEndpoints };
}

function printKernel(kernel: Kernel): string {
  switch (kernel.state) {
    case 'enforcing':
      return (
        `the table "inet picket" is there and enforces: ${printGoverned(kernel)}, ` +
        `${kernel.chains} chains, ${kernel.sets} sets; nobody keeps it up to date`
      );
    case 'nothing':
      return 'there is no table "inet picket": NOTHING IS ENFORCED';
    case 'unknown':
      return `cannot be read: ${kernel.error}`;
  }
}
