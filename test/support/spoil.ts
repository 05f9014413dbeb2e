/**
 * Loaded into a `picket` process ahead of it (`node --import`): the operations whose origin is PICKET_TEST_SPOIL reach the kernel in a form that
 * it refuses, while the file PICKET_TEST_SPOIL_WHILE exists.
 */
import { existsSync } from 'node:fs';
import type { CommitResult } from '../../agent/dataplane/dataplane.ts';
import { NetlinkDataplane } from '../../agent/dataplane/netlink-dataplane.ts';
import type { NftOp } from '../../compiler/nft/program.ts';
import { withOverlongLoad } from './faults.ts';

const origin = process.env['PICKET_TEST_SPOIL'];
const flag = process.env['PICKET_TEST_SPOIL_WHILE'] ?? '';
const commit: (this: NetlinkDataplane, ops: readonly NftOp[]) => Promise<CommitResult> =
  Reflect.get(NetlinkDataplane.prototype, 'commit');

NetlinkDataplane.prototype.commit = function spoiled(ops: readonly NftOp[]) {
  const isOn = existsSync(flag);
  return commit.call(
    this,
    ops.map((op) => (isOn && op.origin === origin ? withOverlongLoad(op) : op)),
  );
};
