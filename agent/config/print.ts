/** The configuration as text: the commented default file, and what is set where. */
import type { ResolvedConfig } from './config.ts';
import { CONFIG_NAMES, rowOf, variableOf } from './keys.ts';

/** Characters per comment line. */
const WIDTH = 100;

/** A file with every key, its meaning and its default; reads back as the defaults. */
export function printDefaultConfig(): string {
  const head = comment(
    "Picket's configuration. Every key is optional and shown with its default. The environment beats this file, flags beat both. " +
      'Check it with: picket config --config FILE',
  );
  const keys = CONFIG_NAMES.map((name) => {
    const { type, default: value, doc, flag } = rowOf(name);
    const also = flag === undefined ? '' : ` Flag: ${flag}.`;
    const kind = comment(`Value: ${type.expected}. Environment: ${variableOf(name)}.${also}`);
    return `${comment(doc)}${kind}${name}: ${type.print(value)}\n`;
  });
  return [head, ...keys].join('\n');
}

/** One line per key that something sets. */
export function printSettings({ config, sources }: ResolvedConfig): string[] {
  return CONFIG_NAMES.flatMap((name) => {
    const source = sources.get(name);
    return source === undefined
      ? []
      : [`${name}: ${rowOf(name).type.print(config[name])}    # ${source}`];
  });
}

function comment(text: string): string {
  const lines: string[] = [];
  for (const each of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + each.length < WIDTH)
      lines.splice(-1, 1, `${last} ${each}`);
    else lines.push(`# ${each}`);
  }
  return `${lines.join('\n')}\n`;
}
