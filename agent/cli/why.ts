/** `picket why NS/POD`: explains the newest flow of an endpoint that was denied, by what is in force now. */
import { Command } from 'commander';
import { printCompact } from '../flowlog/print.ts';
import { FLOWS_PATH, isFlowsEnd } from '../flowlog/routes.ts';
import type { FlowsRow } from '../flowlog/routes.ts';
import { readRecord } from '../explain/record-question.ts';
import { askRows } from './ask.ts';
import { CommandError } from './exit.ts';
import { explain } from './explain.ts';
import { configOption, netnsOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printLine } from './report.ts';
import { loadSettings } from './settings.ts';

export function whyCommand(): Command {
  return new Command('why')
    .summary('explain the newest denied flow of a pod or of the host')
    .description(
      'Takes the newest denied flow that the running agent has logged for the pod, at either end, and explains it as\n' +
        'picket explain does: by the policies that are in force now.',
    )
    .argument('<pod>', 'NAMESPACE/POD, the name of any end that flows name, or host')
    .addOption(configOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Exit codes: 3 it is denied still; 0 it is allowed by now; 1 no denied flow is known, or no agent is running; 2 usage.

Example:
  picket why shop/web
  picket why host`,
    )
    .action(async (pod: string, options: ConfiguredOptions) => {
      process.exitCode = await why(pod, options);
    });
}

async function why(pod: string, options: ConfiguredOptions): Promise<number> {
  const config = loadSettings(options, []);
  const hint = 'flows are kept by a running agent: start one with picket run';
  const query = { pod, verdict: 'deny', last: '1' };
  // The agent answers with what flowlog/routes.ts makes, in the same version of this program.
  const [record] = (await askRows(config, FLOWS_PATH, hint, query)) as FlowsRow[];
  if (record === undefined || isFlowsEnd(record)) {
    throw new CommandError(
      `no denied flow of ${pod} is known: none was logged since the agent started, or it was long ago`,
    );
  }
  const question = readRecord(JSON.stringify(record));
  if ('wrong' in question) throw new CommandError(question.wrong);
  if (options.output === 'text') printLine(`logged: ${printCompact(record)}\n`);
  return explain(question.value, { ...options, manifests: undefined, node: undefined });
}
