/** The kernel as the engine needs it: commit a transaction, dump the table. The real one speaks netlink, fake.ts keeps it in memory. */
import type { NftOp } from '../../compiler/nft/program.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';

/** One operation that the kernel refused. */
export interface Refusal {
  readonly op: NftOp | undefined;
  /** Positive errno and its name. */
  readonly errno: number;
  readonly errnoName: string;
  /** The kernel's extended-ack text, where it gave one. */
  readonly extAck: string | undefined;
}

export type CommitResult =
  { readonly ok: true } | { readonly ok: false; readonly refusals: readonly Refusal[] };

export interface Dataplane {
  /** One nf_tables transaction: all or nothing. Throws AgentError when the exchange itself fails. */
  commit(ops: readonly NftOp[]): Promise<CommitResult>;
  /** Everything in `inet picket`; `undefined` when there is no such table. */
  dump(): Promise<KernelTable | undefined>;
}
