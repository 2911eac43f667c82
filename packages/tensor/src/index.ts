// @mnemix/tensor: the common tensor interface, and the one door to tfjs.
import './gradients.ts';

// Tensors are tfjs tensors, so that users of tfjs can pass theirs in and take ours out.
export type {
  DataType,
  KernelBackend as Backend,
  Rank,
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Tensor3D,
  Tensor4D,
  TensorInfo,
  TensorLike,
  TypedArray,
} from '@tensorflow/tfjs-core';
export * from './autodiff.ts';
export * from './backend/index.ts';
export * from './cumsum.ts';
export * from './define-op.ts';
export * from './device-profile.ts';
export * from './errors.ts';
export * from './gather.ts';
export * from './host-kernel.ts';
export * from './one-hot.ts';
export * from './ops.ts';
export { profileKernels, type HostSpan, type KernelTime } from './profile.ts';
export * from './rng.ts';
export * from './scope.ts';
export * from './shape.ts';
export * from './top-k.ts';
export * from './tree.ts';
