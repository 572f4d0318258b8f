const lane = { left: 30, right: 8, top: 12, bottom: 18 };
const lanes = [...document.querySelectorAll(".lane")];
const snap = 8;  // pixels within which a moment is taken

const rising = (values) => values.every((v, k) => v !== null && (!k || v > values[k - 1]));
// Time along the axis: seconds where all shown recordings have them, or else numbers of
// frames. Two people of one video share its clock; other recordings start together, each
// with times of its own, as the text has them.
function clock() {
  const shown = [clip(), ...(state.beside === null ? [] : [clips[state.beside]])];
  const seconds = shown.every((c) => rising(c.time));
  const numbered = shown.every((c) => rising(c.number) && c.number[0] >= 0);
  const of = (c) => seconds ? c.time : numbered ? c.number : c.z.map((_, k) => k + 1);
  const together = shown.every((c) => c.source && c.source === shown[0].source);
  const first = together ? Math.min(...shown.map((c) => of(c)[0])) : null;
  const starts = shown.map((c) => first ?? of(c)[0]);
  const places = shown.map((c, k) => of(c).map((v) => v - starts[k]));
  return { places, starts, unit: seconds ? "seconds" : numbered ? "frames" : "pictures",
    end: Math.max(...places.map((p) => p[p.length - 1]), seconds ? .1 : 1),
    begin: Math.min(...places.map((p) => p[0])) };
}
const nearestIn = (places, value) => places.reduce(
  (best, v, k) => Math.abs(v - value) < Math.abs(places[best] - value) ? k : best, 0);
const moments = (of) => of.events.filter((e) => plane().axes.includes(e.component));

function drawMoment(context, { kind }, x, y) {
  const up = kind === "peak" ? -1 : 1, base = y + 5 * up;
  context.beginPath();
  context.moveTo(x, base + 8 * up); context.lineTo(x - 5, base); context.lineTo(x + 5, base);
  context.fill();
}
function drawLane(number, of, { places: all, starts, begin, end, unit }, [low, high]) {
  const places = all[number], start = starts[number];
  const [context, w, h] = sized(lanes[number].querySelector(".curve"));
  const x = (v) => lane.left + (v - begin) / (end - begin) * (w - lane.left - lane.right);
  const y = (v) => h - lane.bottom - (v - low) / (high - low) * (h - lane.top - lane.bottom);
  context.fillStyle = style("--faded"); context.strokeStyle = style("--line");
  context.lineWidth = 1; context.textBaseline = "middle"; context.textAlign = "right";
  for (const v of ticks(low, high)) {
    context.fillText(signed(v), lane.left - 6, y(v));
    line(context, [[lane.left, y(v)], [w - lane.right, y(v)]]);
  }
  context.textBaseline = "alphabetic"; context.textAlign = "center";
  ticks(begin + start, end + start).forEach((v, k, { length }) => {
    const text = k === length - 1 ? `${signed(v)} ${unit}` : signed(v);
    const half = context.measureText(text).width / 2;
    context.fillText(text, between(lane.left + 4, x(v - start), w - half), h - 3);
  });
  for (const axis of of.z[0].keys()) {
    const chosen = plane().axes.includes(axis);
    context.strokeStyle = curveColour(axis);
    context.lineWidth = chosen ? 2 : 1; context.globalAlpha = chosen ? 1 : .35;
    line(context, of.z.map((z, k) => [x(places[k]), y(z[axis])]));
  }
  context.globalAlpha = 1;
  for (const event of moments(of)) {
    context.fillStyle = curveColour(event.component);
    drawMoment(context, event, x(places[event.frame]), y(of.z[event.frame][event.component]));
  }
  return [context, x, h];
}
function curveLimits(shown) {
  const values = shown.flatMap((c) => c.z.flatMap((z) => plane().axes.map((axis) => z[axis])));
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  const rim = Math.max(.25, (high - low) * .15);
  return [low - rim, high + rim];
}
function drawTimeline() {
  const time = clock(), now = time.places[0][state.frame];
  const both = state.beside !== null, shown = [state.clip, ...(both ? [state.beside] : [])];
  lanes[1].hidden = !both;
  for (const kind of [".who", ".still"]) lanes[0].querySelector(kind).hidden = !both;
  const limits = curveLimits(shown.map((k) => clips[k]));
  shown.forEach((k, number) => {
    const frame = number ? nearestIn(time.places[number], now) : state.frame;
    const [context, x, h] = drawLane(number, clips[k], time, limits);
    context.strokeStyle = style("--mark"); context.lineWidth = 2;
    line(context, [[x(now), lane.top - 8], [x(now), h - lane.bottom]]);
    if (both) {
      show(lanes[number].querySelector(".still"), recorded(k, frame));
      const at = time.unit === "frames" ? `frame ${clips[k].number[frame]}` : when(clips[k], frame);
      lanes[number].querySelector(".who").textContent = `${clips[k].name}, ${at}`;
    }
  });
  $("curves").replaceChildren(...plane().axes.map((axis) => swatched(curveColour(axis), called(axis))));
  $("moment").textContent = momentText();
  $("about").textContent = aboutText();
}
function momentText() {
  const here = moments(clip()).filter((e) => !state.point && e.frame === state.frame);
  if (here.length) return here.map((e) => (
    `${e.kind === "peak" ? "▲ peak" : "▼ valley"} of ${called(e.component)}`)).join(", ");
  const number = moments(clip()).length;
  return `${number || "No"} moment${number === 1 ? "" : "s"} (▲ peaks, ▼ valleys)`;
}
function aboutText() {
  const { name, labels, number } = clip(), parts = [name];
  if (number[state.frame] >= 0) parts.push(`frame ${number[state.frame]}`);
  parts.push(when(clip(), state.frame));
  for (const [label, values] of Object.entries(labels)) {
    if (values[state.frame] !== null) parts.push(`${label} ${measured(label, values[state.frame])}`);
  }
  return parts.join(" · ");
}
function nextMoment(direction) {
  const frames = [...new Set(moments(clip()).map((e) => e.frame))].sort((a, b) => a - b);
  const ahead = frames.filter((f) => direction * (f - state.frame) > 0);
  if (ahead.length) jump(direction > 0 ? ahead[0] : ahead[ahead.length - 1]);
}
// The picture under a place on the curves, or the moment that is near to it.
function timeAt(event, number) {
  const box = event.currentTarget.getBoundingClientRect(), time = clock(), places = time.places[0];
  const per = (time.end - time.begin) / (box.width - lane.left - lane.right);
  const value = time.begin + (event.clientX - box.left - lane.left) * per;
  const near = moments(clip()).map((e) => e.frame).filter(
    (frame) => Math.abs(places[frame] - value) < snap * per);
  const distance = (frame) => Math.abs(places[frame] - value);
  near.sort((a, b) => distance(a) - distance(b));
  return near.length && !number ? near[0] : nearestIn(places, value);
}
