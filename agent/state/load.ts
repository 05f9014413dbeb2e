/** Brings the kernel to a state. Comes in: a snapshot's transaction. Goes out: done, or what the kernel says. */
import { AgentError, errnoName } from '../errors.ts';
import type { Native } from '../native/native.ts';
import { messages, readAck } from '../netlink/message.ts';
import { dumpTable, type Exchanger } from '../netlink/request.ts';
import { NetlinkSocket } from '../netlink/socket.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';
import { lastSeqOf } from './batch.ts';

const NETLINK_NETFILTER = 12;
const TIMEOUT_MS = 60_000;

/** Opens a socket for one conversation. Throws AgentError. */
export async function withNetfilter<T>(
  native: Native,
  netnsPath: string,
  use: (socket: NetlinkSocket) => Promise<T>,
): Promise<T> {
  const socket = NetlinkSocket.open(native, { protocol: NETLINK_NETFILTER, netnsPath });
  try {
    return await use(socket);
  } finally {
    socket.close();
  }
}

/** `inet picket` as it is now; `undefined` = there is none. Throws AgentError. */
export function readTable(native: Native, netnsPath: string): Promise<KernelTable | undefined> {
  return withNetfilter(native, netnsPath, dumpTable);
}

/** One transaction, ready made by `encodeTable`. Throws AgentError; then nothing has changed, or it is not known. */
export async function sendBatch(socket: Exchanger, batch: Uint8Array): Promise<void> {
  const lastSeq = lastSeqOf(batch);
  if (lastSeq === undefined) throw new Error('a state that was read is no transaction');
  const answer = await socket.exchange(batch, 'acks', lastSeq, TIMEOUT_MS);
  for (const message of messages(answer)) {
    const ack = readAck(message);
    if (ack === undefined || ack.errno === 0) continue;
    const text = ack.extAck === undefined ? '' : `: ${ack.extAck}`;
    throw new AgentError(
      'ERR_NETLINK_IO',
      `the kernel refused the state: ${errnoName(ack.errno)}${text}`,
      { errno: ack.errno },
    );
  }
}
