import { it } from 'vitest';
import { statSync } from 'node:fs';
import { bundle, runProgram } from './bundle.ts';
it('b', async () => {
  const t = Date.now();
  const f = await bundle('src/cli.ts');
  console.log(Date.now() - t, statSync(f).size);
  const t2 = Date.now();
  console.log(await runProgram(f, ['train', '--help']), Date.now() - t2);
  console.log(await runProgram(f, ['train', 'recall', '--stepss', '3']));
  console.log(await runProgram(f, ['train', 'recall', '--steps', '3', '--backend','cpu', '--out', '/tmp/trainer-x']), Date.now() - t2);
}, 60000);
