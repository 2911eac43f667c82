// The innovation by loops over typed arrays.
import { hostKernel } from '@mnemix/tensor';
import { REL_L2_EPS, tapsByCount, type Attrs, type Inputs } from './portable.ts';

export const forward = hostKernel<Inputs, Attrs>({
  outputs: ({ y }) => [{ shape: [y.shape[0] as number] }],
  run: ({ y, before, position, starts, rowSequence }, [e], { taps, error }) => {
    const [rows = 0, width = 0] = y.shape;
    const history = before?.shape[1] ?? 0;
    const weights = tapsByCount(taps);
    const predicted = new Float64Array(width);
    const out = (e as typeof y).data;

    for (let row = 0; row < rows; row++) {
      const sequence = rowSequence.data[row] as number;
      if (sequence < 0) {
        out[row] = 0;
        continue;
      }
      const t = row - (starts.data[sequence] as number);
      const known = Math.min(t + (position?.data[sequence] ?? 0), taps.length);
      predicted.fill(0);
      for (let i = 1; i <= known; i++) {
        const weight = weights[known]?.[i - 1] as number;
        const source = i <= t ? y.data : (before as typeof y).data;
        const from = (i <= t ? row - i : (sequence + 1) * history + t - i) * width;
        for (let c = 0; c < width; c++)
          predicted[c] = (predicted[c] as number) + weight * (source[from + c] as number);
      }

      let absolute = 0;
      let squares = 0;
      let size = 0;
      for (let c = 0; c < width; c++) {
        const found = y.data[row * width + c] as number;
        const expected = predicted[c] as number;
        const residual = found - expected;
        absolute += Math.abs(residual);
        squares += residual * residual;
        size += found * found + expected * expected;
      }
      out[row] = { l1: absolute, l2: squares, relL2: squares / (size + REL_L2_EPS) }[error];
    }
  },
});
