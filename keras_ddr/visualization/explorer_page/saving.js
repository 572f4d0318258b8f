const wanted = 192;  // pixels of a saved picture's side, about
const rim = 8, caption = 26;

function stillOf(canvas, left, right) {
  const scale = Math.max(1, Math.round(wanted / Math.max(width, height)));
  const w = width * scale, h = height * scale;
  canvas.width = 2 * w + 3 * rim; canvas.height = h + 2 * rim + caption;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  copy(context, left, rim, rim, w, h);
  copy(context, right, 2 * rim + w, rim, w, h);
  context.fillStyle = "#222"; context.font = "14px system-ui, sans-serif";
  context.fillText(`motion: ${clip().name}`, rim, h + rim + 18, w);
  context.fillText(`looks: ${looks[state.looks].name}`, 2 * rim + w, h + rim + 18, w);
  return context;
}
function fileName(ending) {
  const name = `${looks[state.looks].name} with motion of ${clip().name}`;
  return name.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 120) + ending;
}
function say(text) { $("said").textContent = text; }
function handOver(blob, name) {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(blob); a.download = name; a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 60_000);
  say(`Saved as ${name}`);
}
function savePicture() {
  const canvas = document.createElement("canvas");
  stillOf(canvas, recorded(state.clip, state.frame), current(state.looks));
  canvas.toBlob((blob) => handOver(blob, fileName(".png")), "image/png");
}

// 256 colours for pixels of 15 bits: the box with the widest spread is halved, again and
// again, at the median of its longest side. Returns the colours and, for each value of a
// pixel, the number of its colour.
function paletteOf(counts) {
  const sides = (value) => [value >> 10, value >> 5 & 31, value & 31];
  const boxOf = (values) => {
    const span = [0, 1, 2].map((c) => {
      let low = 31, high = 0;
      for (const v of values) { low = Math.min(low, sides(v)[c]); high = Math.max(high, sides(v)[c]); }
      return high - low;
    });
    const number = values.reduce((sum, v) => sum + counts[v], 0);
    return { values, number, side: span.indexOf(Math.max(...span)), span: Math.max(...span) };
  };
  const halves = ({ values, number, side }) => {
    values.sort((a, b) => sides(a)[side] - sides(b)[side]);
    let half = 0, k = 0;
    while (k < values.length - 1 && (k === 0 || half + counts[values[k]] <= number / 2)) {
      half += counts[values[k++]];
    }
    return [boxOf(values.slice(0, k)), boxOf(values.slice(k))];
  };
  const boxes = [boxOf([...counts.keys()].filter((v) => counts[v]))];
  const worth = (box) => box.span * Math.sqrt(box.number);
  while (boxes.length < 256) {
    const widest = boxes.reduce((a, b) => worth(b) > worth(a) ? b : a);
    if (!widest.span) break;
    boxes.splice(boxes.indexOf(widest), 1, ...halves(widest));
  }
  const colours = new Uint8Array(768), numbers = new Uint8Array(32_768);
  boxes.forEach(({ values, number }, k) => {
    for (let c = 0; c < 3; c++) {
      const sum = values.reduce((s, v) => s + counts[v] * sides(v)[c], 0);
      colours[3 * k + c] = Math.round(sum / number / 31 * 255);
    }
    for (const value of values) numbers[value] = k;
  });
  return { colours, numbers };
}

// Codes of variable length, as in the specification of GIF89a, appendix F.
const table = new Int16Array(4096 * 256);
function lzw(pixels) {
  const bytes = new Uint8Array(2 * pixels.length + 8);  // a code has 12 bits at most
  let bits = 0, held = 0, size = 9, next = 258, prefix = pixels[0], length = 0;
  const put = (code) => {
    held |= code << bits; bits += size;
    for (; bits >= 8; bits -= 8) { bytes[length++] = held & 255; held >>>= 8; }
  };
  table.fill(0); put(256);
  for (let k = 1; k < pixels.length; k++) {
    const key = prefix * 256 + pixels[k];
    if (table[key]) { prefix = table[key]; continue; }
    put(prefix); prefix = pixels[k];
    if (next === 4096) {
      put(256); table.fill(0); next = 258; size = 9;
    } else {
      if (next >= 1 << size) size++;
      table[key] = next++;
    }
  }
  put(prefix); put(257);
  if (bits) bytes[length++] = held & 255;
  return bytes.slice(0, length);
}
const two = (value) => [value & 255, value >> 8];
function gifFrame(pixels, w, h, hundredths) {
  const bytes = lzw(pixels), blocks = [];
  for (let k = 0; k < bytes.length; k += 255) {
    blocks.push(Uint8Array.of(Math.min(255, bytes.length - k)), bytes.subarray(k, k + 255));
  }
  const head = [0x21, 0xf9, 4, 4, ...two(hundredths), 0, 0,
    0x2c, 0, 0, 0, 0, ...two(w), ...two(h), 0, 8];
  return [Uint8Array.from(head), ...blocks, Uint8Array.of(0)];
}
function gifOf(frames, w, h, delays) {
  const counts = new Uint32Array(32_768);
  for (const pixels of frames) for (const value of pixels) counts[value]++;
  const { colours, numbers } = paletteOf(counts);
  const text = (word) => [...word].map((letter) => letter.charCodeAt(0));
  const head = [...text("GIF89a"), ...two(w), ...two(h), 0xf7, 0, 0, ...colours,
    0x21, 0xff, 11, ...text("NETSCAPE2.0"), 3, 1, 0, 0, 0];
  const parts = frames.flatMap((pixels, k) => {
    const colour = new Uint8Array(pixels.length);
    for (let p = 0; p < pixels.length; p++) colour[p] = numbers[pixels[p]];
    return gifFrame(colour, w, h, delays[k]);
  });
  return new Blob([Uint8Array.from(head), ...parts, Uint8Array.of(0x3b)], { type: "image/gif" });
}
// Milliseconds that a picture stays: as recorded, or a twelfth of a second.
function pause(of, frame) {
  const gap = of.time[frame + 1] - of.time[frame];
  return between(30, (gap > 0 ? gap : .08) * 1000, 500);
}
// Waits for the sheets, and until what was said is on the screen.
async function ready(pictures_) {
  await Promise.all(pictures_.map(([source]) => { sheet(source); return sheets.get(source).decode(); }));
  await new Promise((done) => setTimeout(done, 50));
}
// Pixels of a canvas in 15 bits.
function pixelsOf(context) {
  const { width: w, height: h } = context.canvas, { data: bytes } = context.getImageData(0, 0, w, h);
  const pixels = new Uint16Array(w * h);
  for (let k = 0, b = 0; k < pixels.length; k++, b += 4) {
    pixels[k] = bytes[b] >> 3 << 10 | bytes[b + 1] >> 3 << 5 | bytes[b + 2] >> 3;
  }
  return pixels;
}
async function saveGif() {
  $("save-gif").disabled = true;
  say("Making the GIF …");
  const of = clip(), k = state.clip, identity = state.looks, frames = [], delays = [];
  await ready([recorded(k, 0), moved(identity, k, 0)]);
  const canvas = document.createElement("canvas");
  for (let frame = 0; frame < of.frames; frame++) {
    const context = stillOf(canvas, recorded(k, frame), moved(identity, k, frame));
    frames.push(pixelsOf(context));
    delays.push(Math.max(2, Math.round(pause(of, frame) / 10)));
  }
  handOver(gifOf(frames, canvas.width, canvas.height, delays), fileName(".gif"));
  $("save-gif").disabled = false;
}
