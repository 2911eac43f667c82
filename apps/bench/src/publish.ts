// What a benchmark leaves behind.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Prints the text, and writes it and the result beside each other where asked to. */
export async function publish(result: unknown, text: string, out: string | undefined): Promise<void> {
  console.log(text);
  if (out === undefined) return;
  await mkdir(dirname(out), { recursive: true });
  await writeFile(`${out}.json`, `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(`${out}.md`, text);
}
