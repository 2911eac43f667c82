@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  choosePart(group.z / sizes.tiles);
  let column = 4 * (group.z % sizes.tiles * lanes + local.x);
  let item = (group.y * groups.x + group.x) * slots + local.y;
  if (column >= channels) {
    return;
  }
  let spans = (sizes.rows + sizes.span - 1) / sizes.span;
  if (item < spans) {
    goThroughRows(column, item);
  } else if (item - spans < sizes.sequences) {
    goThroughState(column, item - spans);
  }
}
