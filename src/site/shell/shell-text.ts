/** A shell text as it will stand in a script: of what JavaScript reads in a template only `${` needs its backslash, which goes. */
export function shell(text: TemplateStringsArray): string {
  return (text.raw[0] ?? "").replaceAll(String.raw`\${`, "${").replace(/^\n/, "");
}
