"use strict";
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { clips, planes, pictures } = data;
const [height, width] = data.size;
const looks = [
  ...clips.map(({ name, short }) => ({ name, short, drawn: false })),
  ...Array.from({ length: data.drawn }, (_, k) => (
    { name: `drawn ${k + 1}`, short: `drawn ${k + 1}`, drawn: true })),
];

// A link holds all of the state that differs from this.
const other = clips.findIndex(({ who }) => who !== clips[0].who);
const usual = { clip: 0, looks: other > 0 ? other : Math.min(1, clips.length - 1),
  plane: 0, frame: 0,
  point: null, colour: "one", everyone: false, backdrop: true, beside: null };
const state = { ...usual, playing: false };

const between = (low, value, high) => Math.min(high, Math.max(low, value));
const clip = () => clips[state.clip];
const plane = () => planes[state.plane];
const flat = () => plane().axes.length === 1;
const called = (axis) => `motion ${axis + 1}`;
const computed = getComputedStyle(document.documentElement);
const style = (name) => computed.getPropertyValue(name);
const curveColour = (axis) => style(`--c${axis % 8}`);

// Where a picture of a sequence lies on the map, and where the marker is.
const coordinates = (of, frame) => plane().axes.map((axis) => of.z[frame][axis]);
const marker = () => state.point || coordinates(clip(), state.frame);

// The place of the grid that is nearest to a point; rows go from high to low.
function place(point) {
  const { low, high, grid } = plane();
  const steps = point.map((value, k) => between(0, Math.round(
    (value - low[k]) / (high[k] - low[k]) * (grid - 1)), grid - 1));
  return steps.length === 1 ? steps[0] : (grid - 1 - steps[1]) * grid + steps[0];
}

// Share of the mass, 0 to 1, that is at places no denser than this one.
function level(point) {
  const { low, high, shade } = plane(), last = shade[0].length - 1;
  const [x, y] = point.map((value, k) => between(0, Math.round(
    (value - low[k]) / (high[k] - low[k]) * last), last));
  return shade[y === undefined ? 0 : last - y][x] / 99;
}

function closest(point) {
  const { low, high } = plane();
  const distance = (frame) => coordinates(clip(), frame).reduce(
    (sum, value, k) => sum + ((value - point[k]) / (high[k] - low[k])) ** 2, 0);
  let best = 0;
  for (let k = 1; k < clip().frames; k++) if (distance(k) < distance(best)) best = k;
  return best;
}

// The frame and point that come back when the mouse only passes over the map.
let passed = null;
function jump(frame) {
  passed = null;
  state.frame = between(0, frame, clip().frames - 1);
  state.point = null;
  draw();
}

function pointAt(point) {
  const { low, high } = plane();
  state.point = point.map((value, k) => between(low[k], value, high[k]));
  state.frame = closest(state.point);
  draw();
}

function choose(changes) {
  passed = null;
  Object.assign(state, changes);
  if ("clip" in changes) { state.frame = 0; state.point = null; }
  if ("plane" in changes) state.point = null;
  if (state.beside === state.clip) state.beside = null;
  draw();
}

// The state in the address of the page. Browsers refuse too many changes at a time.
let written = null;
function remember() {
  clearTimeout(written);
  written = setTimeout(() => {
    if (state.playing) return;
    try { history.replaceState(null, "", link()); } catch { /* a page in a frame */ }
  }, 300);
}
function link() {
  const values = new URLSearchParams();
  for (const name of Object.keys(usual)) {
    if (String(state[name]) !== String(usual[name])) values.set(name, plain(state[name]));
  }
  return "#" + values;
}
const plain = (value) => Array.isArray(value) ? value.map((v) => v.toFixed(3)).join() : value;

function recall() {
  const values = new URLSearchParams(location.hash.slice(1));
  const whole = (name, most) => {
    const value = Number(values.get(name) ?? usual[name]);
    return Number.isInteger(value) && value >= 0 && value < most ? value : usual[name];
  };
  state.clip = whole("clip", clips.length);
  state.looks = whole("looks", looks.length);
  state.plane = whole("plane", planes.length);
  state.frame = whole("frame", clip().frames);
  state.beside = values.has("beside") ? whole("beside", clips.length) : null;
  if (state.beside === state.clip) state.beside = null;
  const point = (values.get("point") ?? "").split(",").map(Number);
  state.point = point.length === plane().axes.length && values.get("point")
    && point.every(Number.isFinite) ? point : null;
  const colours = ["one", "time", "clip", ...Object.keys(data.labels).map((n) => `label:${n}`)];
  state.colour = colours.find((name) => name === values.get("colour")) ?? usual.colour;
  state.everyone = values.get("everyone") === "true";
  state.backdrop = values.get("backdrop") !== "false";
}

// Everything is drawn again at most once for each picture of the screen.
let asked = false;
function draw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    drawPictures(); drawMap(); drawTimeline(); showControls(); remember();
  });
}
