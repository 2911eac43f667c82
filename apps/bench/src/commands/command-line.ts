/** What was typed, for results that tell how they were made. */
export const commandLine = (): string =>
  ['mnemix-bench', ...process.argv.slice(2).map((word) => (/\s/.test(word) ? `'${word}'` : word))].join(' ');
