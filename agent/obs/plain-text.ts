/**
 * Text from files, the kernel and the API on its way to people. Comes in: any text. Goes out: text that moves no cursor, sets no colour and, as
 * one line, forges no other: control characters are shown as JSON shows them.
 */

/** Line breaks and tabs stay. C0 and C1 controls, DEL, and the marks that turn the direction of writing. */
export function plainText(text: string): string {
  return text.replaceAll(/(?![\n\t])[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, escaped);
}

/** The same without line breaks. */
export function plainLine(text: string): string {
  return plainText(text).replaceAll('\n', String.raw`\n`);
}

function escaped(char: string): string {
  return String.raw`\u` + char.charCodeAt(0).toString(16).padStart(4, '0');
}
