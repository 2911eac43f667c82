// Matrix products on WebGPU, in place of those of tfjs and under their names, so that whoever multiplies gains: layers, gradients,
// and code that uses tfjs beside us. They are registered here and not in `tensor`, which holds the other replacements, because
// they are WGSL of our own: that is this package's part, and `tensor` is not to know of it.
import { replaceWebgpuKernel, type BackendKernel, type TensorInfo } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { plan, type Attrs, type Inputs } from './gpu.ts';

const kernel = gpuKernel<never, Attrs>((call) => plan({ ...call, shapes: call.shapes as Inputs })).webgpu;

const product: BackendKernel<Record<string, never>, Attrs> = (call) => {
  const {
    a,
    b,
    bias,
    preluActivationWeights: slopes,
  } = call.inputs as Record<string, TensorInfo | undefined>;
  const inputs = Object.fromEntries(
    Object.entries({ a, b, bias, slopes }).filter(([, tensor]) => tensor !== undefined),
  ) as Record<string, TensorInfo>;
  if (Object.values(inputs).some(({ dtype }) => dtype !== 'float32')) return undefined;
  return kernel?.({ ...call, inputs: inputs as never });
};

replaceWebgpuKernel('BatchMatMul', product);
replaceWebgpuKernel('_FusedMatMul', product);
