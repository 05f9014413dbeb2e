/** THE match-field vocabulary. A new field is a row here; tsc then names every table that needs one too. */

export type FieldKind = 'address' | 'protocol' | 'port' | 'icmp';

export interface FieldSpec {
  readonly kind: FieldKind;
  /** Width by family. */
  readonly bits: { readonly 4: number; readonly 6: number };
}

export const FIELDS = {
  saddr: { kind: 'address', bits: { 4: 32, 6: 128 } },
  daddr: { kind: 'address', bits: { 4: 32, 6: 128 } },
  protocol: { kind: 'protocol', bits: { 4: 8, 6: 8 } },
  sport: { kind: 'port', bits: { 4: 16, 6: 16 } },
  dport: { kind: 'port', bits: { 4: 16, 6: 16 } },
  /** type << 8 | code, as the two bytes stand in the header. */
  icmp: { kind: 'icmp', bits: { 4: 16, 6: 16 } },
} as const satisfies Record<string, FieldSpec>;

export type FieldName = keyof typeof FIELDS;

/** Total: a missing row does not compile. */
export type FieldTable<T> = { readonly [F in FieldName]: T };
