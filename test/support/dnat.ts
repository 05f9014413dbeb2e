/**
 * Somebody else's address translation in a namespace: a table of its own that replaces destinations, as a service proxy does. Packets before
 * and after come in; nothing comes out.
 */
import { printAddress } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Netns } from './netns.ts';
import { requireSystemTool } from './tools.ts';

export interface Translation {
  readonly before: Packet;
  readonly after: Packet;
}

/** Replaces what was translated before. Both for what arrives and for what the namespace sends. */
export async function translate(netns: Netns, all: readonly Translation[]): Promise<void> {
  const rules = [...new Set(all.map(printRule))];
  const chains = (['prerouting', 'output'] as const).map((hook) =>
    [`chain ${hook} {`, `type nat hook ${hook} priority -100`, ...rules, '}'].join('\n'),
  );
  const text = `table inet translation {}\ndelete table inet translation\ntable inet translation {\n${chains.join('\n')}\n}\n`;
  await netns.run(requireSystemTool('nft'), ['-f', '-'], text);
}

function printRule({ before, after }: Translation): string {
  const ip = before.family === 4 ? 'ip' : 'ip6';
  const host = printAddress(after.daddr);
  const port = after.dport === undefined ? '' : `:${after.dport}`;
  const to = before.family === 4 ? host + port : port === '' ? host : `[${host}]${port}`;
  const dport = before.dport === undefined ? '' : `th dport ${before.dport} `;
  return `${ip} daddr ${printAddress(before.daddr)} meta l4proto ${before.protocol} ${dport}dnat ${ip} to ${to}`;
}
