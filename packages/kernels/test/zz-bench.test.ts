import { openBackend, Rng, tidy, valueAndGrad, add, sum, neg, softplus, type Tensor, type Scalar, sigmoid, reshape } from '@mnemix/tensor';
import { it } from 'vitest';
import { deltaRule, diagonalDecay, l2Norm } from '../src/index.ts';
import { uniformSequences, packedSequences } from '../src/sequences.ts';
it('bench', async () => {
  await openBackend('wasm');
  const rng = Rng.of(1);
  for (const [H, d, B] of [[1, 16, 8], [1, 32, 8], [4, 16, 8], [1, 64, 8], [2, 64, 8], [1, 128, 4]] as const) {
    const N = 4096, sequences = uniformSequences(B, N / B);
    for (const [engine, gate] of [['E1', 'none'], ['E1', 'scalar'], ['E1', 'vector'], ['E2', 'none'], ['E2', 'scalar'], ['E2', 'vector']] as const) {
      const q = rng.fold('q').normal([N, H, d]), k0 = rng.fold('k').normal([N, H, d]), v = rng.fold('v').normal([N, H, d]);
      const k = tidy(() => l2Norm(k0));
      const g = gate === 'none' ? undefined : rng.fold('g').uniform(gate === 'scalar' ? [N, H] : [N, H, d], -0.2, -0.001);
      const beta = rng.fold('b').uniform([N, H], 0, 1);
      const inputs: any = { q, k, v };
      if (g) inputs.logDecay = g;
      if (engine === 'E2') inputs.beta = beta;
      const op = (x: any) => engine === 'E1' ? diagonalDecay(x, { sequences }) : deltaRule(x, { sequences });
      const best = (f: () => void, n = 8) => { let b = 1e9; for (let i = 0; i < n; i++) { const t = performance.now(); f(); b = Math.min(b, performance.now() - t); } return b; };
      const fwd = best(() => tidy(() => { op(inputs); }));
      const both = best(() => tidy(() => { valueAndGrad((x: any) => ({ value: sum(op(x).o) as Scalar, aux: {} }))(inputs); }));
      console.log(`H${H} d${d} ${engine} ${gate}: fwd ${fwd.toFixed(2)} fwd+bwd ${both.toFixed(2)} ms`);
    }
  }
}, 600000);
