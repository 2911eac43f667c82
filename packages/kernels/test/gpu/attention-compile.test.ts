import { describeOnWebgpu } from '@mnemix/testkit';
import { defineOp, openBackend, scalar, type Tensor } from '@mnemix/tensor';
import { it, vi } from 'vitest';
import { attentionOracle, inputsOf, runAttention, type AttentionCase } from '../attention-cases.ts';
import { expectToMatch, runOp } from '../op-cases.ts';
vi.setConfig({ testTimeout: 500_000 });
describeOnWebgpu('x', (backend) => {
  it('y', async () => {
    await openBackend(backend);
    let found: any;
    const look = defineOp<Record<never, never>, { y: Tensor }, object>({
      name: 'TestLook',
      outputs: ['y'],
      portable: () => ({ y: scalar(0) }),
      kernels: { webgpu: ({ backend }) => void (found = backend) },
    });
    look({}, {});
    const device = found.device as GPUDevice;
    const make = device.createComputePipeline.bind(device);
    const mod = device.createShaderModule.bind(device);
    const edits: [string, (s: string) => string][] = [
      ['base', (s) => s],
      ['no accumulate', (s) => s.replace(/accumulate\(&sums[^;]*;/, '')],
      ['no fma', (s) => s.replace(/\(\*sums\)\[\d+\] = fma[^;]*;/g, '')],
      ['one fma', (s) => s.replace(/\(\*sums\)\[[1-9]\d*\] = fma[^;]*;/g, '')],
      ['no staging reads', (s) => s.replace(/next\[i\] = vectorOf[^;]*;/, '')],
      ['no staging writes', (s) => s.replace(/slices\[at \/ [^;]*;/, '')],
      ['no factors', (s) => s.replace(/let a = factors[^;]*;/, 'let a = vec4f(1);')],
      ['no y', (s) => s.replace(/let y0 = [^;]*;/, 'let y0 = vec4f(1);')],
    ];
    let code = '';
    (device as any).createShaderModule = (d: any) => {
      code = d.code;
      return mod(d);
    };
    (device as any).createComputePipeline = (d: any) => {
      if (d.label.includes('Attention forward') && process.env.EDITS) {
        for (const [name, edit] of edits) {
          const m = mod({ code: edit(code) });
          const t = process.cpuUsage();
          make({ ...d, compute: { ...d.compute, module: m } });
          const u = process.cpuUsage(t);
          console.log('PIPE Att', name, ((u.user + u.system) / 1000).toFixed(0));
        }
      }
      const t = process.cpuUsage();
      const p = make(d);
      const u = process.cpuUsage(t);
      console.log('PIPE', d.label, ((u.user + u.system) / 1000).toFixed(0));
      return p;
    };
    for (const W of (process.env.WIDTHS ?? '8').split(',').map(Number)) {
      const shape = {
        batch: 1,
        heads: 2,
        kvHeads: 1,
        groups: [{}],
        name: 'a',
        tokens: 70,
        headWidth: W,
      } as AttentionCase;
      const inputs = inputsOf(shape);
      expectToMatch(
        await runOp(inputs.arrays, (x) => ({ o: runAttention(shape, inputs, x) }), { o: inputs.dO }),
        attentionOracle(shape, inputs),
      );
      console.log('RUN', W);
    }
  });
});
