/** Quotes a text as one word of a POSIX shell, in which the shell expands nothing. */
export function quoteShell(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
