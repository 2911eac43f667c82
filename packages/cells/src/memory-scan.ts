// The scan of a cell that carries nothing but its memory and the windows of its convolutions.
import type { ScanOptions, Sequences } from '@mnemix/kernels';
import type { ScanAlgorithm } from '@mnemix/layers';
import type { Tensor, Tensor3D, Tensor4D } from '@mnemix/tensor';
import type { WindowState } from './convolutions.ts';

/** `deltaRule`, `diagonalDecay`, or one of them with options of its own. */
type Engine<Inputs> = (
  tensors: Inputs & { readonly initialState?: Tensor | undefined },
  options: ScanOptions,
) => { o: Tensor; state: Tensor };

type MemoryState<Name extends string> = WindowState<Name> & { readonly memory: Tensor4D };

/** A cell's `scan` by this engine, whose tensors are the cell's inputs. */
export const memoryScan =
  <Inputs extends object>(engine: Engine<Inputs>) =>
  <Name extends string>(
    { windows, ...inputs }: Inputs & WindowState<Name>,
    state: MemoryState<Name> | undefined,
    sequences: Sequences,
    algorithm?: ScanAlgorithm,
  ): { o: Tensor3D; state: MemoryState<Name> } => {
    const { o, state: memory } = engine(
      { ...(inputs as unknown as Inputs), initialState: state?.memory },
      { ...algorithm, sequences },
    );
    return { o: o as Tensor3D, state: { memory: memory as Tensor4D, windows } };
  };
