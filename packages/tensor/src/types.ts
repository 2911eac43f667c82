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
