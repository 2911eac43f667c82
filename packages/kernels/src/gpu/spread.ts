// Workgroups in numbers beyond what one dimension of a dispatch takes.

/** Every device takes so many in a dimension. */
const MOST = 65_535;

/** `count` workgroups over two dimensions, some too many where they do not divide: number y · (groups of x) + x. */
export function spread(count: number): [x: number, y: number] {
  const y = Math.ceil(count / MOST);
  return [Math.ceil(count / Math.max(1, y)), y];
}
