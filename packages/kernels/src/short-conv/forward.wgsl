// y_t = act(bias + Σ_w weight[w]·x_{t−W+1+w}) along sequences, and the state after each: its last W inputs. An item is `span` rows,
// or, behind those, the state of a sequence.
fn convolve(column: u32, row0: u32) {
  let firstTaps = tapsAt(column, 0);
  let shift = biasAt(column);
  for (var row = row0; row < min(sizes.rows, row0 + sizes.span); row++) {
    let place = placeOf(row);
    var z = vec4f();
    if (place.sequence >= 0) {
      z = shift + weighted(firstTaps, inputsAt(row, place, column, 0));
      for (var first = 4u; first < width; first += 4) {
        z += weighted(tapsAt(column, first), inputsAt(row, place, column, first));
      }
      if (isSilu) {
        z *= sigmoid(z);
      }
    }
    putY(row, column, z);
  }
}

/** Entry j is token L − W + j of the sequence, or entry L + j of the state before it. */
fn leaveState(column: u32, sequence: u32) {
  let length = u32(lengths[sequence]);
  for (var entry = 0u; entry < width; entry++) {
    var value = vec4f();
    if (length + entry >= width) {
      value = xAt(u32(starts[sequence]) + length + entry - width, column);
    } else if (hasInitialState) {
      value = initialAt(sequence, column, length + entry);
    }
    for (var c = 0u; c < 4; c++) {
      if (column + c < sizes.channels) {
        state[(sequence * sizes.channels + column + c) * width + entry] = value[c];
      }
    }
  }
}

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let column = 4 * (group.z * lanes + local.x);
  let item = (group.y * groups.x + group.x) * slots + local.y;
  if (column >= sizes.channels) {
    return;
  }
  let spans = (sizes.rows + sizes.span - 1) / sizes.span;
  if (item < spans) {
    convolve(column, item * sizes.span);
  } else if (item - spans < sizes.sequences) {
    leaveState(column, item - spans);
  }
}
