/** Records as lines for people, one each whatever is in them: other tables may log to our group too. Refuses to know colours and terminals. */
import { plainLine } from '../obs/plain-text.ts';
import type { FlowRecord, RecordEnd, RecordImplicit, RecordStaged } from './record.ts';

/** Policies that a line names. */
const MAX_SELECTORS = 10;

/** `10:15:02 DENY ingress shop/web -> shop/db tcp/5432 by NetworkPolicy shop/db rule 0 (tier default) x3`. */
export function printCompact(record: FlowRecord): string {
  return joined([
    record.lastTs.slice(11, 19),
    record.verdict.toUpperCase().padEnd(5),
    (record.direction ?? '?').padEnd(7),
    `${sourceName(record)} -> ${endName(record.dst)}`,
    printService(record),
    printWhy(record),
    printCounts(record),
    ...record.staged.map(printStaged),
  ]);
}

/** As compact, with date, addresses, ports, service, node and rule id. */
export function printWide(record: FlowRecord): string {
  const { src, dst, hook = '?', node, ruleId, firstTs, lastTs } = record;
  const service =
    dst.service === undefined ? '' : ` (svc ${dst.service.namespace}/${dst.service.name})`;
  return joined([
    lastTs,
    node,
    record.verdict.toUpperCase().padEnd(5),
    `${record.direction ?? '?'}/${hook}`,
    printInterfaces(record),
    `${wideEnd(src)} -> ${wideEnd(dst)}${service}`,
    printService(record),
    printWhy(record),
    printCounts(record),
    ...record.staged.map(printStaged),
    `first ${firstTs.slice(11, 23)}`,
    ruleId,
  ]);
}

function joined(parts: readonly string[]): string {
  return plainLine(parts.filter((part) => part !== '').join(' '));
}

/** A forged address is told beside who forged it. */
function sourceName({ src, implicit }: FlowRecord): string {
  const isForged = implicit?.reason === 'anti-spoofing' && src.name !== undefined;
  return isForged ? `${endName(src)} (as ${src.ip ?? '?'})` : endName(src);
}

function endName({ namespace, name, ip, kind }: RecordEnd): string {
  if (name === undefined) return ip ?? '?';
  const full = namespace === undefined ? name : `${namespace}/${name}`;
  // A network set is many addresses: which one is what the reader wants.
  return kind === 'network-set' ? `${ip ?? '?'} (${full})` : full;
}

function wideEnd(end: RecordEnd): string {
  const { ip = '?', port, kind } = end;
  const address = port === undefined ? ip : ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
  return end.name === undefined
    ? address
    : `${kind} ${endName({ ...end, kind: 'pod' })} ${address}`;
}

function printInterfaces({ inputInterface, outputInterface }: FlowRecord): string {
  const into = inputInterface === undefined ? '' : `in ${inputInterface}`;
  return [into, outputInterface === undefined ? '' : `out ${outputInterface}`].join(' ').trim();
}

function printService({ proto, icmp, dst, partial }: FlowRecord): string {
  const cut = partial === true ? ' (partial)' : '';
  if (icmp !== undefined) return `${proto ?? 'icmp'} ${icmp.type}/${icmp.code}${cut}`;
  if (proto === undefined) return `unknown protocol${cut}`;
  const name = /^\d+$/.test(proto) ? `protocol ${proto}` : proto;
  return `${dst.port === undefined ? name : `${name}/${dst.port}`}${cut}`;
}

/** What decided. */
function printWhy(record: FlowRecord): string {
  const { hostEndpoint } = record;
  if (hostEndpoint === undefined) return printRule(record);
  const { name, stage } = hostEndpoint;
  return `at host endpoint ${name} (${stage}) ${printRule(record)}`;
}

function printRule({ policy, implicit, ruleId }: FlowRecord): string {
  if (policy !== undefined) {
    const { kind, namespace, name, tier, rule } = policy;
    const full = namespace === undefined ? name : `${namespace}/${name}`;
    return `by ${kind} ${full} rule ${rule}${tier === undefined ? '' : ` (tier ${tier})`}`;
  }
  if (implicit === undefined) return `by a rule that is gone (${ruleId})`;
  const { reason, tier, selectedBy } = implicit;
  const what = reason === 'end-of-tier' ? `end of tier ${tier ?? '?'}` : reason;
  const who =
    selectedBy.length === 0 ? '' : `: selected by ${printSelectors(implicit)}, no rule matched`;
  return `by ${what}${who}`;
}

function printSelectors({ selectedBy, selectedByOmitted = 0 }: RecordImplicit): string {
  const more = Math.max(0, selectedBy.length - MAX_SELECTORS) + selectedByOmitted;
  const shown = selectedBy.slice(0, MAX_SELECTORS).join(', ');
  return more === 0 ? shown : `${shown} and ${more} more`;
}

function printCounts({ count, suppressed }: FlowRecord): string {
  const more = suppressed === 0 ? '' : ` (+${suppressed} suppressed)`;
  return count === 1 && more === '' ? '' : `x${count}${more}`;
}

function printStaged({ policy, action, rule }: RecordStaged): string {
  const where = rule === undefined ? 'at the end of its tier' : `by rule ${rule}`;
  return `[staged ${policy}: would ${action} ${where}]`;
}
