// Sheets of pictures are read when the first picture of each is needed.
const sheets = new Map();
function sheet(source) {
  if (!sheets.has(source)) {
    const image = new Image();
    image.onload = () => { image.whole = true; draw(); };
    image.src = source;
    sheets.set(source, image);
  }
  return sheets.get(source).whole ? sheets.get(source) : null;
}

// A picture is a sheet and its number there.
const recorded = (k, frame) => [pictures.filmed[k], frame];
const posed = (identity, point) => [
  pictures.planes[identity][state.plane], plane().pictures[place(point)]];
function moved(identity, k, frame) {
  const source = pictures.motions[identity][k], { frames, kept } = clips[k];
  if (identity === k) return [source, frame];
  if (!source) return posed(identity, coordinates(clips[k], frame));
  return [source, Math.round(frame * (kept - 1) / Math.max(1, frames - 1))];
}
const current = (identity) => state.point
  ? posed(identity, state.point) : moved(identity, state.clip, state.frame);

function copy(context, [source, number], x, y, w, h) {
  const image = sheet(source);
  if (!image) return;
  const column = number % data.columns, row = Math.floor(number / data.columns);
  context.drawImage(image, column * width, row * height, width, height, x, y, w, h);
}
function show(canvas, picture) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width; canvas.height = height;
  }
  copy(canvas.getContext("2d"), picture, 0, 0, width, height);
}

// A canvas as sharp as the screen; lengths are those of the page.
function sized(canvas) {
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  const w = Math.max(1, Math.round(box.width * ratio));
  const h = Math.max(1, Math.round(box.height * ratio));
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, box.width, box.height);
  context.font = "12px system-ui, sans-serif";
  return [context, box.width, box.height];
}
function line(context, points) {
  context.beginPath();
  points.forEach(([x, y], k) => context[k ? "lineTo" : "moveTo"](x, y));
  context.stroke();
}

function swatch(colour, kind = "") {
  const i = document.createElement("i");
  i.style.background = colour; i.className = kind;
  return i;
}
function swatched(colour, name) {
  const span = document.createElement("span");
  span.append(swatch(colour), name);
  return span;
}

function when(of, frame) {
  const time = of.time[frame];
  return time === null ? `picture ${frame + 1} of ${of.frames}` : `${time.toFixed(2)} s`;
}
function drawPictures() {
  const own = state.looks === state.clip, { name, drawn } = looks[state.looks];
  show($("filmed"), recorded(state.clip, state.frame));
  show($("drawn"), current(state.looks));
  $("clip-name").textContent = $("clip-name").title = clip().name;
  $("looks-name").textContent = $("looks-name").title = name;
  $("filmed-note").textContent = state.point
    ? `nearest to this pose, ${when(clip(), state.frame)}`
    : `as recorded, ${when(clip(), state.frame)}`;
  $("drawn-note").textContent = drawn ? "made up by the model: nobody in the recordings"
    : state.point ? "in the pose on the map, drawn by the model"
      : own ? "the model’s copy of the picture on the left"
        : "in the pose on the left, drawn by the model";
  [...$("looks").querySelectorAll("canvas")].forEach((canvas, k) => show(canvas, current(k)));
  [...$("clips").querySelectorAll("canvas")].forEach((canvas, k) => show(
    canvas, recorded(k, Math.floor(clips[k].frames / 2))));
}
