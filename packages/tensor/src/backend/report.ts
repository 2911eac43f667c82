// What opening a backend tells: plain data, for programs and for the doctor.
import type { BackendName } from '../define-op.ts';
import type { Precision } from './webgpu-precision.ts';

/** What can be asked for. `webgpu` is a real GPU; a software adapter is only used when named. */
export type BackendChoice = BackendName | 'webgpu-software';

export interface BackendReport {
  /** The name of the kernels in use. */
  readonly name: BackendName;
  /** WebGPU only: who made the adapter. */
  readonly adapter?: { readonly vendor: string; readonly architecture: string; readonly description: string };
  /** WebGPU only: device features that were granted. */
  readonly features: readonly string[];
  /** WebGPU only: device limits that matter to kernels. */
  readonly limits: Readonly<Record<string, number>>;
  /** Threads that compute: 1 unless WASM runs threaded. */
  readonly threads: number;
  readonly simd: boolean;
  /** The WebGPU adapter computes on the CPU: right, but slow. */
  readonly software: boolean;
  /** WebGPU only: of matrix products. */
  readonly precision?: Precision;
  /** What was wanted more but could not be had, and why: backends, or parts such as `wasm threads`. */
  readonly rejected: readonly Rejection[];
}

export interface Rejection {
  readonly name: string;
  readonly reason: string;
}

/** An opener's result: a tfjs backend that nothing refers to yet. */
export interface Opened {
  readonly instance: import('@tensorflow/tfjs-core').KernelBackend;
  readonly report: BackendReport;
  /** Frees what tfjs's own `dispose` does not. */
  readonly close?: () => void;
}

/** A report of a backend on the host's processor. */
export const hostReport = (name: BackendName, parts: Partial<BackendReport> = {}): BackendReport => ({
  name,
  features: [],
  limits: {},
  threads: 1,
  simd: false,
  software: false,
  rejected: [],
  ...parts,
});

/** What an opener threw, as a clause: without the full stop. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\.$/, '');
