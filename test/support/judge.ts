/** Rows of packets and how they should fare, sent through a node's fabric at once. */
import type { ExecutionContext } from 'ava';
import { packetOf } from './kernel-node.ts';
import type { KernelNode, PacketSpec } from './kernel-node.ts';

export interface Row extends PacketSpec {
  /** Where it is sent, which need not be the owner of `from`. */
  readonly at: string;
  /** Whether it arrives. */
  readonly out: boolean;
  /** How it looks there, where its address is translated. */
  readonly arrivesAs?: PacketSpec;
  readonly name?: string;
}

/** Sends all rows as new connections and names those that fared otherwise. */
export async function judge(
  t: ExecutionContext,
  node: KernelNode,
  rows: readonly Row[],
): Promise<void> {
  await node.fabric.forgetConnections();
  const arrived = await node.fabric.probe(
    rows.map((row) => ({
      from: row.at,
      packet: packetOf(row),
      ...(row.arrivesAs === undefined ? {} : { arrivesAs: packetOf(row.arrivesAs) }),
    })),
  );
  const wrong = rows.filter((row, index) => row.out !== arrived[index]);
  t.deepEqual(wrong.map(describe), []);
}

function describe({ name, at, from, to, protocol = 6, dport, icmp, out }: Row): string {
  const what = `protocol ${protocol} ${dport ?? icmp?.join('/') ?? ''}`;
  return `${name ?? at}: ${from} > ${to} ${what} ${out ? 'did not arrive' : 'arrived'}`;
}
