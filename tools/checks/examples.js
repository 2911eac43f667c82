// Runs the example of each package's README (its first code block opened with "```ts example") in a project that has
// the packed packages from npm, as a user would.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, inConsumerProject } from './consumer.js';
import { note } from './note.js';
import { publicPackages } from './packages.js';

/** @param {string} folder @returns {{ code: string } | { problem: string }} */
function example(folder) {
  const readme = join(folder, 'README.md');
  if (!existsSync(readme)) return { problem: 'there is no README.md' };
  const block = /^```(?:ts|js) example[^\n]*\n(.*?)^```/ms.exec(readFileSync(readme, 'utf8'));
  return block?.[1]
    ? { code: block[1] }
    : { problem: 'README.md has no code block opened with ```ts example' };
}

let failures = 0;
/** @param {string} name @param {string} problem */
const fail = (name, problem) => {
  failures += 1;
  console.log(`✗ ${name}: ${problem}`);
};

await inConsumerProject((project) => {
  for (const { name, folder } of publicPackages) {
    const found = example(folder);
    if ('problem' in found) {
      fail(name, found.problem);
      continue;
    }
    const file = `${name.split('/')[1]}-example`;
    writeFileSync(join(project, `${file}.ts`), found.code);
    console.log(`── ${name}`);
    try {
      compile(project, [`${file}.ts`]);
      execFileSync(process.execPath, [join('out', `${file}.js`)], {
        cwd: project,
        stdio: 'inherit',
        timeout: 300_000,
      });
      console.log(`✓ ${name}`);
    } catch (error) {
      fail(name, `the example of its README fails: ${/** @type {Error} */ (error).message}`);
    }
  }
});
note(`${publicPackages.length - failures} of ${publicPackages.length} examples ran`);
process.exitCode = failures > 0 ? 1 : 0;
