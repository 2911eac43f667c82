export { doctor, formatDoctor, type Diagnosis, type Finding } from './doctor.ts';
export { assertBackendHealthy } from './health.ts';
export { closeBackend, openBackend, type BackendOptions } from './open.ts';
export type { BackendChoice, BackendReport, Rejection } from './report.ts';
export { replaceWebgpuKernel, withStockKernels } from './webgpu-kernels.ts';
export { precisionOf, type Precision } from './webgpu-precision.ts';
export { deviceMilliseconds } from './webgpu-time.ts';
