/** What is made for a number of tensors, once: an op, which has a fixed list of outputs. */
export function byCount<Made>(make: (count: number) => Made): (count: number) => Made {
  const known = new Map<number, Made>();
  return (count) => {
    const made = known.get(count) ?? make(count);
    known.set(count, made);
    return made;
  };
}
