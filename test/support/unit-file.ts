/** A systemd unit as a test needs it: text comes in, directives go out. */

/** Every assignment, `Section.Key` to its values in order. Knows no line continuation: our units have none. */
export type UnitFile = ReadonlyMap<string, readonly string[]>;

export function parseUnit(text: string): UnitFile {
  const found = new Map<string, string[]>();
  let section = '';
  for (const line of text.split('\n')) {
    section = /^\[(\w+)\]$/.exec(line)?.[1] ?? section;
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    const name = `${section}.${key}`;
    found.set(name, [...(found.get(name) ?? []), value]);
  }
  return found;
}

/** The words of a directive, of all its lines. */
export function words(unit: UnitFile, name: string): string[] {
  return (unit.get(name) ?? []).flatMap((value) => value.split(' ')).filter((word) => word !== '');
}
