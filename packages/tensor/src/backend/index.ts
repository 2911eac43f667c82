export { doctor, formatDoctor, type Diagnosis, type Finding } from './doctor.ts';
export { assertBackendHealthy } from './health.ts';
export { closeBackend, openBackend, type BackendOptions } from './open.ts';
export type { BackendChoice, BackendReport, Rejection } from './report.ts';
export { compileProgramsAhead } from './webgpu-compile.ts';
export { areStockKernelsWanted, replaceWebgpuKernel, withStockKernels } from './webgpu-kernels.ts';
export { checkTensorFits, deviceBytes, largestTensor } from './webgpu-limits.ts';
export { hasMatrixUnits, precisionOf, setMatrixUnits, type Precision } from './webgpu-precision.ts';
export {
  passTimestamps,
  profileDevice,
  type DeviceProfile,
  type DeviceSpan,
  type DeviceWork,
} from './webgpu-profile.ts';
export { recordDevice, type DeviceReplay } from './webgpu-replay.ts';
export { currentDevice, submitRecorded, type Submitter } from './webgpu-submit.ts';
export { deviceMilliseconds } from './webgpu-time.ts';
