/** A status as one screen of text: what is wrong first, then numbers. */
import type { FlowLogCounts } from '../flowlog/flow-log.ts';
import type { Listed, Status } from './status.ts';

/** What is listed of each thing that is wrong. */
const MAX_SHOWN = 5;

const HEADS: Readonly<Record<Status['state'], string>> = {
  'in-sync': 'enforcing: the kernel has everything that the sources say',
  waiting: 'WAITING: the rules in force before the start stay',
  behind: 'BEHIND: the kernel lacks a part of what the sources say',
};

export function printStatus(status: Status): readonly string[] {
  const { version, pid, node, netns, nowMs, startedMs, problems } = status;
  const where = netns === '' ? '' : `, network namespace ${netns}`;
  const lines = [
    HEADS[status.state],
    ...problems.map((problem) => `  ! ${problem}`),
    '',
    row('agent', `${version}, pid ${pid}, up ${printDuration(nowMs - startedMs)}`),
    row('node', `${node}${where}`),
    ...status.sources.map(({ name, isSynced, events, lastBatchMs }) =>
      row(
        'source',
        `${name}: ${isSynced ? 'complete' : 'NOT COMPLETE'}, ${events} objects and changes, ` +
          `last change ${printAgo(lastBatchMs, nowMs)}`,
      ),
    ),
    row(status.state === 'in-sync' ? 'in force' : 'wanted', printCounts(status)),
    row('last apply', printApply(status)),
    row('compared', `with the kernel ${printAgo(status.lastSyncMs, nowMs)}`),
    row('repairs', printRepairs(status)),
    ...(status.flowLog === undefined ? [] : [row('flow log', printFlowLog(status.flowLog))]),
  ];
  const { refused, stale, findings, sources } = status;
  lines.push(
    ...block('refused by the kernel', refused),
    ...block('newest version not accepted', {
      total: stale.total,
      first: stale.first.map(
        ({ object, hasAcceptedVersion }) =>
          `${object}: ${hasAcceptedVersion ? 'its last accepted version is in force' : 'it governs nothing'}`,
      ),
    }),
    ...block('errors', findings.errors),
    ...block('warnings', findings.warnings),
    ...sources.flatMap(({ name, issues }) => block(`problems of ${name}`, issues)),
  );
  return lines;
}

function row(name: string, text: string): string {
  return `${`${name}:`.padEnd(12)} ${text}`;
}

function printCounts({ counts }: Status): string {
  const { policies, sets, chains } = counts;
  return `${printGoverned(counts)}, ${policies === 1 ? '1 policy' : `${policies} policies`}, ${some(sets, 'set')}, ${some(chains, 'chain')}`;
}

/** `2 workloads, 1 host endpoint`; what there is none of is left out. */
export function printGoverned({
  endpoints,
  hostEndpoints,
}: Pick<Status['counts'], 'endpoints' | 'hostEndpoints'>): string {
  const workloads = endpoints > 0 || hostEndpoints === 0 ? [some(endpoints, 'workload')] : [];
  const hosts = hostEndpoints > 0 ? [some(hostEndpoints, 'host endpoint')] : [];
  return [...workloads, ...hosts].join(', ');
}

function some(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? '' : 's'}`;
}

function printApply({ lastApply, nowMs }: Status): string {
  if (lastApply === undefined) return 'none yet: the kernel had everything, or nothing was applied';
  const operations = Object.values(lastApply.operations).reduce((sum, count) => sum + count, 0);
  const { atMs, durationMs } = lastApply;
  return `${printAgo(atMs, nowMs)}, ${operations} operations in ${durationMs} ms`;
}

function printFlowLog({ received, lost, dropped, suppressed }: FlowLogCounts): string {
  const gone = lost + dropped;
  return `${received} packets, ${suppressed} more not logged by rate limits, ${gone === 0 ? 'none lost' : `${gone} LOST`}`;
}

function printRepairs({ repairs: { count, last }, nowMs }: Status): string {
  if (last === undefined) return 'none: nobody else has changed the table';
  return `${count}, the last ${printAgo(last.atMs, nowMs)}, after a change by ${last.by}`;
}

function block(title: string, { total, first }: Listed<string>): string[] {
  if (total === 0) return [];
  const shown = first.slice(0, MAX_SHOWN);
  const more = total - shown.length;
  return [
    '',
    `${title}:`,
    ...shown.map((text) => `  ${text}`),
    ...(more > 0 ? [`  and ${more} more (-o json shows ${first.length})`] : []),
  ];
}

export function printAgo(atMs: number | undefined, nowMs: number): string {
  return atMs === undefined ? 'never' : `${printDuration(nowMs - atMs)} ago`;
}

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
] as const;

/** `350 ms`, `12 s`, `3 min 5 s`, `2 d 4 h`: the two largest units. */
export function printDuration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  let rest = Math.floor(ms / 1_000);
  const parts: string[] = [];
  for (const [unit, seconds] of UNITS) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  parts.push(`${rest} s`);
  return parts.slice(0, 2).join(' ');
}
