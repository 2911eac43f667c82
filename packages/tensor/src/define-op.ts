// Fused operations: one name, a portable form in tensor ops, faster kernels where a backend has them, one gradient.
import {
  engine,
  getKernel,
  registerGradient,
  registerKernel,
  tidy,
  type KernelFunc,
  type NamedAttrMap,
  type NamedTensorMap,
  type Tensor,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { noGrad } from './autodiff.ts';
import { precisionOf, type Precision } from './backend/webgpu-precision.ts';
import { checkDtype, MnemixError } from './errors.ts';
import { zerosOf } from './shared-zeros.ts';

/** Named tensors that go into an op; optional ones may be absent. */
export type OpInputs = Record<string, Tensor | undefined>;
/** Named tensors that come out of it; optional ones may be absent. */
export type OpOutputs = Record<string, Tensor | undefined>;

export type BackendName = 'webgpu' | 'wasm' | 'cpu';

/** What ops run on now, for functions that compose them in another way where each costs a launch. */
export const currentBackend = (): BackendName => engine().backendName as BackendName;

/** How precise products are now. */
export const currentPrecision = (): Precision => precisionOf(engine().backend);

/** What a backend's kernel receives: tfjs's own handles, to be resolved by a bridge (host arrays, WASM, WebGPU). */
export interface KernelCall<I extends OpInputs, Attrs> {
  /** The op's name, for errors. */
  readonly op: string;
  readonly inputs: { readonly [Name in keyof I]: TensorInfo };
  readonly attrs: Attrs;
  readonly backend: unknown;
}

/**
 * Returns the outputs in their declared order, with or without the optional ones, or `undefined` where it cannot do these shapes: then
 * the portable form runs.
 */
export type BackendKernel<I extends OpInputs, Attrs> = (
  call: KernelCall<I, Attrs>,
) => TensorInfo[] | undefined;

export interface GradientCall<I extends OpInputs, O extends OpOutputs, Attrs> {
  readonly inputs: I;
  /** Only those named in `savedOutputs`. */
  readonly outputs: O;
  /** Gradient of every output; for outputs that the result does not depend on zeros, which are made when they are read. */
  readonly grads: O;
  /** Outputs that the result depends on. */
  readonly used: ReadonlySet<keyof O & string>;
  readonly attrs: Attrs;
}

/** What an op returns: what it makes, and inputs that it passes on. */
export type Returned<I extends OpInputs, O extends OpOutputs, Passed extends keyof I> = O & Pick<I, Passed>;

export interface OpDefinition<
  I extends OpInputs,
  O extends OpOutputs,
  Attrs,
  Passed extends keyof I & string = never,
> {
  /** Unique, e.g. `RmsNorm`; shows up in profiles and errors as `mnemix/RmsNorm`. */
  readonly name: string;
  readonly outputs: readonly (keyof O & string)[];
  /** The last of them, which a form may leave out, all at once. */
  readonly optionalOutputs?: readonly (keyof O & string)[];
  /**
   * Inputs that are returned too, under the same name: the same data, in a tensor of its own, which neither form makes. The gradient of
   * what uses it comes to this op's `gradient`, as that of every output does, to be added there: what uses the input itself has its
   * gradient added by the tape, with an op of its own.
   */
  readonly passes?: readonly Passed[];
  /** Inputs of dtype int32; all others are float32. Kernels take the bits for what this says. */
  readonly integers?: readonly (keyof I & string)[];
  /** The op in tensor ops: right on every backend, and the reference for the kernels. */
  readonly portable: (inputs: I, attrs: Attrs) => O;
  readonly kernels?: Partial<Record<BackendName, BackendKernel<I, Attrs>>>;
  /** Gradients of the differentiable inputs. Left out: the op is a constant to every gradient. */
  readonly gradient?: (call: GradientCall<I, Returned<I, O, Passed>, Attrs>) => {
    [Name in keyof I]?: Tensor | undefined;
  };
  /** Outputs that the gradient needs again; the others are not kept. */
  readonly savedOutputs?: readonly (keyof O & string)[];
}

export type Op<I extends OpInputs, O extends OpOutputs, Attrs, Passed extends keyof I & string = never> = (
  inputs: I,
  attrs: Attrs,
) => Returned<I, O, Passed>;

/** Kernels that packages above bring for ops defined below them: WGSL is theirs. By the op's name. */
const brought = new Map<string, Partial<Record<BackendName, BackendKernel<never, never>>>>();

/** Gives the op of this name kernels for backends that its definition has none for; before its first call. */
export function bringKernels<I extends OpInputs, Attrs>(
  op: string,
  kernels: Partial<Record<BackendName, BackendKernel<I, Attrs>>>,
): void {
  brought.set(op, kernels as never);
}

/**
 * Makes a callable op of its parts.
 *
 * It runs the current backend's kernel where there is one that takes the shapes, and the portable form elsewhere;
 * either way as a single node of the tape, with `gradient` as its derivative. Second derivatives are not defined.
 * An input of another dtype than declared is a `shape` error.
 *
 * ```ts
 * const double = defineOp<{ x: Tensor }, { y: Tensor }, object>({
 *   name: 'Double',
 *   outputs: ['y'],
 *   portable: ({ x }) => ({ y: add(x, x) }),
 *   gradient: ({ grads }) => ({ x: add(grads.y, grads.y) }),
 * });
 * ```
 */
export function defineOp<
  I extends OpInputs,
  O extends OpOutputs,
  Attrs extends object,
  Passed extends keyof I & string = never,
>(definition: OpDefinition<I, O, Attrs, Passed>): Op<I, O, Attrs, Passed> {
  const { name, outputs, optionalOutputs = [], passes = [], integers = [] } = definition;
  const { portable, kernels = {}, gradient } = definition;
  const savedOutputs = outputs.filter((output) => definition.savedOutputs?.includes(output));
  /** What a call returns, in order: what it passes on comes first, as the last of what it makes may be left out. */
  const returnedBy = (present: readonly string[]): readonly string[] => [
    ...passes.filter((input) => present.includes(input)),
    ...outputs,
  ];

  const runPortable = (inputs: I, attrs: Attrs): Tensor[] =>
    tidy(() => {
      const result = portable(inputs, attrs);
      const taken = new Set<Tensor | undefined>(Object.values(inputs));
      // The tape tells tensors apart by identity: what is passed through gets one of its own.
      const present = outputs.filter((output) => result[output] || !optionalOutputs.includes(output));
      return present.map((output) => {
        const tensor = result[output] as Tensor;
        if (taken.has(tensor)) return tensor.clone();
        taken.add(tensor);
        return tensor;
      });
    });

  const kernelFunc =
    (backendKernel?: BackendKernel<I, Attrs>): KernelFunc =>
    (call) => {
      const inputs = call.inputs as unknown as I;
      const attrs = call.attrs as Attrs;
      const made =
        backendKernel?.({
          op: name,
          inputs: call.inputs as KernelCall<I, Attrs>['inputs'],
          attrs,
          backend: call.backend,
        }) ?? runPortable(inputs, attrs);
      // Last, so that nothing is left behind where a form throws.
      const passed = passes.flatMap((input) => inputs[input]?.clone() ?? []);
      return [...passed, ...made];
    };

  /** tfjs saves inputs for the backward pass by name, so each set of present inputs is a kernel of its own. */
  const register = (kernelName: string, present: readonly string[], backendName: string): void => {
    if (getKernel(kernelName, backendName)) return;
    const kernel = kernels[backendName as BackendName] ?? brought.get(name)?.[backendName as BackendName];
    registerKernel({ kernelName, backendName, kernelFunc: kernelFunc(kernel as BackendKernel<I, Attrs>) });
    if (!gradient) return;
    registerGradient({
      kernelName,
      inputsToSave: [...present],
      outputsToSave: returnedBy(present).map((output) => savedOutputs.includes(output)),
      // Nodes of the tape get this op's own way to it: see below.
      gradFunc: () => ({}),
    });
  };

  /** Gradients of the present inputs; those of the outputs that nothing depends on are made when they are asked for. */
  const backward =
    (present: readonly string[], attrs: Attrs, { saved, outputs: made }: TapeNode): TapeNode['gradient'] =>
    (dys) => {
      const returned = returnedBy(present).slice(0, made.length);
      const grads = gradient?.({
        inputs: Object.fromEntries(present.map((input, i) => [input, saved[i]])) as I,
        outputs: Object.fromEntries(
          saved.slice(present.length).map((tensor, i) => [savedOutputs[i], tensor]),
        ) as Returned<I, O, Passed>,
        grads: gradientsBy(returned, dys, made),
        used: new Set(returned.filter((_, i) => dys[i])),
        attrs,
      });
      return Object.fromEntries(
        present.map((input) => [input, () => grads?.[input] ?? missingGradient(name, input)]),
      );
    };

  const gradientsBy = (
    returned: readonly string[],
    dys: readonly (Tensor | undefined)[],
    made: readonly Tensor[],
  ): Returned<I, O, Passed> => {
    const grads = {};
    returned.forEach((output, i) =>
      Object.defineProperty(grads, output, {
        enumerable: true,
        ...(dys[i] ? { value: dys[i] } : { get: () => zerosOf(made[i] as Tensor) }),
      }),
    );
    return grads as Returned<I, O, Passed>;
  };

  return (inputs, attrs) => {
    const names = Object.keys(inputs);
    const present = names.filter((input) => inputs[input] !== undefined);
    const kernelName = `mnemix/${name}(${present.join(',')})`;
    register(kernelName, present, engine().backendName);
    for (const input of present) {
      checkDtype(
        `${name}(${input})`,
        inputs[input] as Tensor,
        integers.includes(input) ? 'int32' : 'float32',
      );
    }
    const isWhole = present.length === names.length;
    const given = (
      isWhole ? inputs : Object.fromEntries(present.map((input) => [input, inputs[input]]))
    ) as NamedTensorMap;
    const run = () =>
      engine().runKernel<Tensor | Tensor[]>(kernelName, given, attrs as unknown as NamedAttrMap);
    const result = gradient ? run() : noGrad(run);
    const tensors = Array.isArray(result) ? result : [result];
    const { activeTape } = engine().state as unknown as { readonly activeTape?: readonly TapeNode[] };
    const node = activeTape?.at(-1);
    // Not all that runs is recorded: what was recorded last may be another call.
    if (node && node.outputs[0] === tensors[0]) node.gradient = backward(present, attrs, node);
    const returned = returnedBy(present);
    return Object.fromEntries(tensors.map((tensor, i) => [returned[i], tensor])) as Returned<I, O, Passed>;
  };
}

/** A node of tfjs's tape. Its gradient takes that of each output, and gives a function for each input. */
interface TapeNode {
  readonly outputs: readonly Tensor[];
  readonly saved: readonly Tensor[];
  gradient: (dys: readonly (Tensor | undefined)[]) => Record<string, () => Tensor>;
}

function missingGradient(op: string, input: string): never {
  throw new MnemixError({
    code: 'kernel',
    where: `${op}(${input})`,
    message: 'no gradient is defined for this input.',
    fix: `Pass stopGradient(${input}) if it should be a constant.`,
  });
}
