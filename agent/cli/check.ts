/** `picket check`: can this machine do it, and is anything in the way? Changes nothing. */
import { readFileSync, readdirSync } from 'node:fs';
import { Command } from 'commander';
import { FILE_PROBES } from '../check/files.ts';
import { failed, ok } from '../check/finding.ts';
import type { CheckContext, Finding, Probe, Status } from '../check/finding.ts';
import { HOST_PROBES } from '../check/host.ts';
import { NEIGHBOUR_PROBES } from '../check/neighbours.ts';
import { protocolProbes } from '../check/protocols.ts';
import { settingProbes } from '../check/settings.ts';
import { printConfigIssue } from '../config/config.ts';
import { AgentError } from '../errors.ts';
import { NetlinkDecodeError } from '../netlink/codec.ts';
import { loadNative } from '../native/native.ts';
import { EXIT } from './exit.ts';
import { runningAgent } from './lock.ts';
import { configOption, manifestsOption, netnsOption, nodeOption, outputOption } from './options.ts';
import type { ConfiguredOptions } from './options.ts';
import { printJson, printLine } from './report.ts';
import { engineConfig, hostNode, readSettings } from './settings.ts';

type NamedFinding = Finding & { readonly name: string };

export function checkCommand(): Command {
  return new Command('check')
    .summary('can this machine enforce, and is anything in the way?')
    .description(
      'Looks at everything that enforcement depends on: what the kernel can do (asked with transactions that it checks and\n' +
        'takes back), capabilities, kernel settings, tables and agents of others that would drop what Picket allows, the\n' +
        'configuration and its directories. Changes nothing. Each line says what to do.',
    )
    .addOption(configOption())
    .addOption(manifestsOption())
    .addOption(nodeOption())
    .addOption(netnsOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 Picket works here (warnings allowed, as for lint); 1 it does not, or not wholly; 2 usage.

Example:
  picket check -o json | jq '.findings[] | select(.status != "ok")'`,
    )
    .action(async (options: ConfiguredOptions) => {
      process.exitCode = await check(options);
    });
}

async function check(options: ConfiguredOptions): Promise<number> {
  const { config: said, issues, file } = readSettings(options);
  const config = said.node === '' ? { ...said, node: hostNode() } : said;
  const agent = await runningAgent(config.netns);
  const context: CheckContext = { config, native: loadNative(), read, list };
  const configuration = issues.map((issue) =>
    failed(printConfigIssue(issue), 'picket config --print-default'),
  );
  const groups: readonly (readonly Probe[])[] = [
    HOST_PROBES,
    protocolProbes(engineConfig(config).base, agent !== undefined),
    settingProbes(config.netns),
    NEIGHBOUR_PROBES,
    [
      {
        name: 'configuration',
        run: () => (issues.length > 0 ? configuration : [ok(file ?? 'defaults, no file')]),
      },
      ...FILE_PROBES,
      {
        name: 'picket run',
        run: () => [ok(agent === undefined ? 'none here' : `process ${agent}`)],
      },
    ],
  ];
  const findings: NamedFinding[] = [];
  for (const probe of groups.flat()) {
    for (const finding of await runProbe(probe, context))
      findings.push({ name: probe.name, ...finding });
  }
  const status = worst(findings);
  if (options.output === 'json') printJson({ status, findings });
  else print(findings);
  return status === 'failed' ? EXIT.failed : EXIT.good;
}

/** What the kernel refuses altogether, or answers in a way that we cannot read, is a finding in the words of the error. */
async function runProbe(probe: Probe, context: CheckContext): Promise<readonly Finding[]> {
  try {
    return await probe.run(context);
  } catch (error) {
    if (!(error instanceof AgentError || error instanceof NetlinkDecodeError)) throw error;
    return [{ status: 'failed', message: error.message }];
  }
}

function worst(findings: readonly NamedFinding[]): Status {
  const order = ['failed', 'warning'] as const;
  return order.find((status) => findings.some((finding) => finding.status === status)) ?? 'ok';
}

function print(findings: readonly NamedFinding[]): void {
  for (const { status, name, message, advice } of findings) {
    printLine(`${status.padEnd(8)} ${name}: ${message}`);
    if (advice !== undefined) printLine(`         -> ${advice}`);
  }
  const count = (status: Status): string =>
    `${findings.filter((finding) => finding.status === status).length} ${status}`;
  printLine(`${count('ok')}, ${count('warning')}, ${count('failed')}`);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
