const edge = { left: 42, right: 10, top: 6, bottom: 34 };
const trail = 16;  // pictures
const cell = 46;  // pixels of a picture behind the dots, about

// Positions on the canvas; a single component lies along its middle.
function scales(w, h) {
  const { low, high } = plane();
  const x = (v) => edge.left + (v - low[0]) / (high[0] - low[0]) * (w - edge.left - edge.right);
  const y = (v) => flat() ? (h - edge.bottom + edge.top) / 2
    : h - edge.bottom - (v - low[1]) / (high[1] - low[1]) * (h - edge.top - edge.bottom);
  return [x, y];
}
function pointOf(event) {
  const box = $("plane").getBoundingClientRect(), { low, high } = plane();
  const x = (event.clientX - box.left - edge.left) / (box.width - edge.left - edge.right);
  const y = (box.bottom - edge.bottom - event.clientY) / (box.height - edge.top - edge.bottom);
  return [x, y].slice(0, low.length).map((v, k) => low[k] + v * (high[k] - low[k]));
}

// Where frames lie, as a small picture that is stretched over the map.
const shades = new Map();
function shadeOf({ shade }, colour) {
  const key = `${state.plane} ${colour}`;
  if (shades.has(key)) return shades.get(key);
  const small = document.createElement("canvas");
  small.width = shade[0].length; small.height = shade.length;
  const c = small.getContext("2d");
  c.fillStyle = colour;
  shade.forEach((row, y) => row.forEach((value, x) => {
    c.globalAlpha = .75 * value / 99;
    c.fillRect(x, y, 1, 1);
  }));
  shades.set(key, small);
  return small;
}
function drawShade(context, w, h) {
  const small = shadeOf(plane(), style("--shade"));
  context.imageSmoothingQuality = "high";
  context.drawImage(small, edge.left, edge.top, w - edge.left - edge.right,
    h - edge.top - edge.bottom);
}
// Pictures of the chosen looks, side by side, fainter where frames are fewer.
function drawBackdrop(context, w, h) {
  const { low, high } = plane(), across = w - edge.left - edge.right;
  const down = h - edge.top - edge.bottom, tall = cell * height / width;
  const columns = Math.max(1, Math.round(across / cell));
  const rows = flat() ? 1 : Math.max(1, Math.round(down / tall));
  const pointAtCell = (column, row) => [
    low[0] + column / columns * (high[0] - low[0]),
    ...(flat() ? [] : [high[1] - row / rows * (high[1] - low[1])])];
  const wide = Math.min(across / columns, down / rows * width / height) - 3;
  const size = [wide, wide * height / width];
  for (let row = .5; row < rows; row++) for (let column = .5; column < columns; column++) {
    const around = [[0, 0], [.3, .3], [.3, -.3], [-.3, .3], [-.3, -.3]];
    const share = Math.max(...around.map(([x, y]) => level(pointAtCell(column + x, row + y))));
    if (share < .02) continue;
    context.globalAlpha = .45 + .55 * Math.sqrt(share);
    copy(context, posed(state.looks, pointAtCell(column, row)),
      edge.left + column / columns * across - size[0] / 2,
      edge.top + row / rows * down - size[1] / 2, ...size);
  }
  context.globalAlpha = 1;
}

// Ticks at round numbers, at most about five.
function ticks(low, high) {
  const steps = [.1, .2, .5, 1, 2, 5, 10, 20, 50, 100];
  const step = steps.find((s) => (high - low) / s <= 6) ?? (high - low) / 4;
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(+(k * step).toFixed(6));
  return found;
}
const signed = (value) => String(value).replace("-", "−");
// The value of a label, with its unit where one is known.
const measured = (name, value) => typeof value === "number"
  ? [signed(value), data.labels[name].unit].filter(Boolean).join(" ") : value;
function drawAxes(context, w, h, x, y) {
  const { axes, low, high } = plane();
  context.strokeStyle = style("--line"); context.fillStyle = style("--faded");
  context.lineWidth = 1;
  context.strokeRect(edge.left, edge.top, w - edge.left - edge.right, h - edge.top - edge.bottom);
  context.textAlign = "center"; context.textBaseline = "alphabetic";
  for (const v of ticks(low[0], high[0])) context.fillText(signed(v), x(v), h - edge.bottom + 15);
  context.fillStyle = curveColour(axes[0]);
  context.fillText(`${called(axes[0])} →`, (edge.left + w - edge.right) / 2, h - 4);
  if (flat()) return;
  context.fillStyle = style("--faded");
  context.textAlign = "right"; context.textBaseline = "middle";
  for (const v of ticks(low[1], high[1])) context.fillText(signed(v), edge.left - 5, y(v));
  context.fillStyle = curveColour(axes[1]);
  context.save();
  context.translate(7, (edge.top + h - edge.bottom) / 2); context.rotate(-Math.PI / 2);
  context.textAlign = "center"; context.fillText(`${called(axes[1])} →`, 0, 0);
  context.restore();
}

// What dots are coloured by: a function of sequence and frame, and its legend.
const ramp = ["#4d3fb5", "#b83e8c", "#ee7550", "#f5cd4b"];
function ramped(share) {
  const at = between(0, share, 1) * (ramp.length - 1), k = Math.min(ramp.length - 2, Math.floor(at));
  const part = (text, c) => parseInt(text.slice(1 + 2 * c, 3 + 2 * c), 16);
  const mixed = [0, 1, 2].map((c) => Math.round(
    part(ramp[k], c) * (k + 1 - at) + part(ramp[k + 1], c) * (at - k)));
  return `rgb(${mixed})`;
}
const natural = (a, b) => String(a).localeCompare(String(b), undefined, { numeric: true });
// Of many names, those from the eighth on share a colour; the legend has what is shown.
function byClass(valueOf, names, shown) {
  const colour = (value) => value === null || value === undefined ? style("--faded")
    : style(`--c${Math.min(7, names.indexOf(value))}`);
  const there = names.filter((name) => shown.includes(name));
  const alike = names.length > 8 ? there.filter((name) => names.indexOf(name) > 6) : [];
  const named = alike.length > 1 ? there.slice(0, -alike.length) : there;
  return { of: (k, frame) => colour(valueOf(k, frame)), legend: [
    ...named.map((name) => [colour(name), name]),
    ...(alike.length > 1 ? [[colour(alike[0]), `… and ${alike.length} more`]] : [])] };
}
function byNumber(valueOf, low, high, ends) {
  return { ends, of: (k, frame) => {
    const value = valueOf(k, frame);
    return value === null || value === undefined ? style("--faded")
      : ramped(high > low ? (value - low) / (high - low) : .5);
  } };
}
function colouring() {
  if (state.colour === "time") return byNumber(
    (k, frame) => frame / Math.max(1, clips[k].frames - 1), 0, 1, ["start", "end"]);
  const shown = state.everyone ? clips : [clip()], namesOf = (some) => some.map((c) => c.name);
  if (state.colour === "clip") return byClass(
    (k) => clips[k].name, namesOf(clips), namesOf(shown));
  const name = state.colour.replace(/^label:/, ""), label = data.labels[name];
  if (!label) return { of: (k) => style(k === state.clip ? "--accent" : "--faded"), legend: [] };
  const valueOf = (k, frame) => clips[k].labels[name]?.[frame];
  const valuesOf = (some) => some.flatMap((c) => c.labels[name] ?? []).filter((v) => v !== null);
  const here = valuesOf(shown);
  if (!here.length) return { of: () => style("--faded"), legend: [[style("--faded"), "no value"]] };
  if (label.kind === "categorical") return byClass(
    valueOf, [...new Set(valuesOf(clips))].sort(natural), here);
  const low = here.reduce((a, b) => Math.min(a, b), Infinity);
  const high = here.reduce((a, b) => Math.max(a, b), -Infinity);
  return byNumber(valueOf, low, high, [signed(low), measured(name, high)]);
}

function drawDots(context, x, y) {
  const { of } = colouring(), radius = state.backdrop ? 4 : 3.5;
  const dots = (k, size) => {
    for (let frame = 0; frame < clips[k].frames; frame++) {
      const [a, b] = coordinates(clips[k], frame);
      context.beginPath(); context.arc(x(a), y(b), size, 0, 7);
      context.fillStyle = of(k, frame); context.fill(); context.stroke();
    }
  };
  context.strokeStyle = style("--paper"); context.lineWidth = 1;
  if (state.everyone) {
    context.globalAlpha = .75;
    clips.forEach((_, k) => { if (k !== state.clip) dots(k, radius - 1); });
    context.globalAlpha = 1;
  }
  dots(state.clip, radius);
}
function drawTrail(context, x, y) {
  context.strokeStyle = style("--mark"); context.lineWidth = 3; context.lineCap = "round";
  for (let k = Math.max(1, state.frame - trail); k <= state.frame; k++) {
    context.globalAlpha = 1 - (state.frame - k) / (trail + 1);
    line(context, [k - 1, k].map((frame) => {
      const [a, b] = coordinates(clip(), frame);
      return [x(a), y(b)];
    }));
  }
  context.globalAlpha = 1;
}
function drawMarker(context, x, y) {
  const [a, b] = marker(), at = [x(a), y(b)];
  for (const [colour, wide, radius] of [["--paper", 5, 9], ["--mark", 2.5, 9]]) {
    context.strokeStyle = style(colour); context.lineWidth = wide;
    context.beginPath(); context.arc(...at, radius, 0, 7); context.stroke();
    if (!state.point) continue;
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) line(context, [
      [at[0] + 4 * dx, at[1] + 4 * dy], [at[0] + 14 * dx, at[1] + 14 * dy]]);
  }
}
function drawMap() {
  const [context, w, h] = sized($("plane")), [x, y] = scales(w, h);
  context.save();
  context.beginPath();
  context.rect(edge.left, edge.top, w - edge.left - edge.right, h - edge.top - edge.bottom);
  context.fillStyle = style("--paper"); context.fill(); context.clip();
  drawShade(context, w, h);
  if (state.backdrop) drawBackdrop(context, w, h);
  drawDots(context, x, y);
  if (state.playing) drawTrail(context, x, y);
  drawMarker(context, x, y);
  context.restore();
  drawAxes(context, w, h, x, y);
  $("where").textContent = whereText();
}
// A press takes the dot below it, or else the pose.
function press(event) {
  const point = pointOf(event), box = $("plane").getBoundingClientRect();
  const [x, y] = scales(box.width, box.height), frame = closest(point);
  const [a, b] = coordinates(clip(), frame);
  const apart = Math.hypot(x(a) - x(point[0]), y(b) - y(point[1]));
  if (apart < 7) jump(frame); else pointAt(point);
  passed = { frame: state.frame, point: state.point };
}
function whereText() {
  if (!state.point) return `The ring is ${clip().name}, ${when(clip(), state.frame)}.`;
  if (level(state.point) < .02) return "Hardly any picture lies here: the nearest known pose is shown.";
  const passing = passed && passed.point !== state.point;
  const values = plane().axes.map((axis, k) => (
    `${called(axis)}: ${signed(state.point[k].toFixed(2))}`));
  return `Everyone takes this pose (${values.join(", ")}).${passing ? " Click to keep it." : ""}`;
}
