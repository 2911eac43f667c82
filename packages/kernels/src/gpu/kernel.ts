// What a WebGPU kernel is, as plain data: nothing here knows who runs it, or whose buffers it works on.
import type { OutputSpec } from '@mnemix/tensor';

/** `read`: var<storage, read>. `write`: var<storage, read_write>. `uniform`: var<uniform>, of a scalar tensor. */
export type Access = 'read' | 'write' | 'uniform';

export interface GpuKernel {
  /** Shows up in errors, labels and profiles, e.g. `RmsNormGated forward`. */
  readonly name: string;
  /** The whole module; its entry point is `main`. */
  readonly wgsl: string;
  /**
   * The buffers of @group(0), from @binding(0) on. The uniforms, if there are any, take the binding after the
   * last.
   */
  readonly bindings: readonly Access[];
  /** Values of the module's `override` constants; booleans as 0 and 1. */
  readonly constants?: Readonly<Record<string, number>>;
}

/** Storage buffers that it binds, of which a device has few in a stage. */
export const tensorsBound = ({ bindings }: GpuKernel): number =>
  bindings.filter((access) => access !== 'uniform').length;

/** One field of the uniform struct, which consists of 4-byte scalars. */
export interface Uniform {
  readonly type: 'uint32' | 'int32' | 'float32';
  readonly value: number;
}

export const u32 = (value: number): Uniform => ({ type: 'uint32', value });
export const i32 = (value: number): Uniform => ({ type: 'int32', value });
export const f32 = (value: number): Uniform => ({ type: 'float32', value });

export interface GpuDispatch {
  readonly kernel: GpuKernel;
  /** Names of the tensors to bind, in the order of the kernel's bindings. */
  readonly buffers: readonly string[];
  /** In the order of the struct's fields. */
  readonly uniforms?: readonly Uniform[];
  /** In place of `uniforms`, numbers that change from call to call while the plan stays: of the attributes of each call. */
  readonly uniformsOfCall?: (attrs: never) => readonly Uniform[];
  readonly workgroups: readonly [x: number, y?: number, z?: number];
  /** Floating-point operations, a multiply-add being two: for profiles. */
  readonly flops?: number;
}

export interface GpuOutput extends OutputSpec {
  /**
   * The input of the same shape whose buffer it takes over: written in place, and bound by either name. Only where the caller gives
   * that input away and holds it alone (`IsSole`).
   */
  readonly over?: string;
}

/** All that an op does on the GPU: what it makes, and the dispatches that make it, in order. */
export interface GpuPlan {
  /** By name, in the op's order. They hold arbitrary values at first, unless they are written over an input. */
  readonly outputs: Readonly<Record<string, GpuOutput>>;
  /** Further tensors between dispatches, freed afterwards. */
  readonly scratch?: Readonly<Record<string, OutputSpec>>;
  readonly dispatches: readonly GpuDispatch[];
}
