export { doctor, formatDoctor, type Diagnosis, type Finding } from './doctor.ts';
export { assertBackendHealthy } from './health.ts';
export { closeBackend, openBackend, type BackendOptions } from './open.ts';
export type { BackendChoice, BackendReport, Rejection } from './report.ts';
