let timer = null;
function play(on) {
  state.playing = on;
  clearTimeout(timer);
  if (on) passed = null;
  $("play").textContent = on ? "❚❚ Pause" : "▶ Play";
  if (on) timer = setTimeout(() => {
    jump((state.frame + 1) % clip().frames); play(true);
  }, pause(clip(), state.frame));
  draw();
}

function radios(where, name, entries) {
  entries.forEach((entry, k) => {
    const [label, input, canvas, text] = ["label", "input", "canvas", "span"].map(
      (tag) => document.createElement(tag));
    Object.assign(input, { type: "radio", name, value: k });
    input.onchange = () => choose({ [name]: k });
    text.textContent = entry.short; label.title = entry.name;
    input.setAttribute("aria-label", entry.name);
    label.classList.toggle("made", Boolean(entry.drawn));
    label.append(input, canvas, text); where.lastElementChild.append(label);
  });
}
function fillChoices() {
  radios($("clips"), "clip", clips);
  radios($("looks"), "looks", looks);
  const kinds = [["one", "one colour"], ["time", "time"]];
  if (clips.length > 1) kinds.push(["clip", "recording"]);
  for (const name of Object.keys(data.labels)) kinds.push([`label:${name}`, name]);
  for (const [value, text] of kinds) $("colour").add(new Option(text, value));
  planes.forEach(({ axes }, k) => $("plane-choice").add(
    new Option(axes.map((axis) => axis + 1).join(" and "), k)));
  $("pairs").hidden = planes.length === 1;
  $("beside").add(new Option("nothing", ""));
  clips.forEach(({ name }, k) => $("beside").add(new Option(name, k)));
  $("beside").parentElement.hidden = clips.length === 1;
  $("seen").textContent = data.fitted ? "the pictures that the model learned from"
    : "the pictures on this page";
  if (!data.ordered) {
    $("time-title").textContent = "Motion, picture by picture (in no order in time)";
  }
  $("weak").hidden = data.weak === null;
  $("weak").textContent = "Poses may look alike here: the model follows only "
    + `${Math.round(100 * Math.max(0, data.weak))} % of what moves. More training, or a larger `
    + "--dynamic-dim, may help.";
  $("invented").hidden = $("invented").nextElementSibling.hidden = !data.drawn;
  document.body.classList.toggle("crisp", Math.max(width, height) < 48);
  document.body.classList.toggle("flat", flat());
  document.documentElement.style.setProperty("--ratio", width / height);
}
function showControls() {
  for (const [id, k] of [["clips", state.clip], ["looks", state.looks]]) {
    $(id).querySelectorAll("input")[k].checked = true;
  }
  $("time").max = clip().frames - 1; $("time").value = state.frame;
  $("colour").value = state.colour; $("plane-choice").value = state.plane;
  $("beside").value = state.beside ?? "";
  $("backdrop").checked = state.backdrop; $("everyone").checked = state.everyone;
  $("before").disabled = $("after").disabled = !moments(clip()).length;
  const { legend = [], ends } = colouring();
  $("legend").replaceChildren(...(ends
    ? [ends[0], swatch(`linear-gradient(90deg, ${ramp})`, "ramp"), ends[1]]
    : legend.map(([colour, name]) => swatched(colour, name))));
}

function listenToMap() {
  $("plane").onpointerdown = (event) => { play(false); press(event); };
  $("plane").onpointermove = (event) => {
    if (state.playing) return;
    if (event.buttons) passed = null;
    else passed ??= { frame: state.frame, point: state.point };
    pointAt(pointOf(event));
  };
  $("plane").onpointerup = () => { passed = { frame: state.frame, point: state.point }; };
  $("plane").onpointerleave = (event) => {
    if (passed && event.pointerType === "mouse") Object.assign(state, passed);
    passed = null;
    draw();
  };
  $("plane").onkeydown = (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.key in by) {
      const { low, high, grid } = plane();
      play(false);
      pointAt(marker().map((v, k) => v + by[event.key][k] * (high[k] - low[k]) / (grid - 1)));
      event.preventDefault();
    } else if (event.key === "Enter") jump(closest(marker()));
  };
}
function listenToTime() {
  $("play").onclick = () => play(!state.playing);
  $("time").oninput = () => { play(false); jump(+$("time").value); };
  $("before").onclick = () => { play(false); nextMoment(-1); };
  $("after").onclick = () => { play(false); nextMoment(1); };
  lanes.forEach((element, number) => {
    const curve = element.querySelector(".curve");
    curve.onpointerdown = (event) => { play(false); jump(timeAt(event, number)); };
    curve.onpointermove = (event) => { if (event.buttons) jump(timeAt(event, number)); };
  });
}
function listenToChoices() {
  $("colour").onchange = () => {
    const scope = data.labels[$("colour").value.replace(/^label:/, "")]?.scope;
    // A single recording has one value of these.
    const everyone = state.everyone || scope === "sequence" || $("colour").value === "clip";
    choose({ colour: $("colour").value, everyone });
  };
  $("plane-choice").onchange = () => choose({ plane: +$("plane-choice").value });
  $("backdrop").onchange = () => choose({ backdrop: $("backdrop").checked });
  $("everyone").onchange = () => choose({ everyone: $("everyone").checked });
  $("beside").onchange = () => choose(
    { beside: $("beside").value === "" ? null : +$("beside").value });
  $("larger").onclick = () => {
    const on = $("stage").classList.toggle("large");
    $("larger").textContent = on ? "Smaller" : "Larger";
    draw();
  };
  $("save-picture").onclick = savePicture;
  $("save-gif").onclick = saveGif;
  $("copy-link").onclick = async () => {
    const address = location.href.split("#")[0] + link();
    try {
      await navigator.clipboard.writeText(address);
      say("Link copied: it opens this page as it was just now.");
    } catch { say(`Copy this: ${address}`); }
  };
}
document.addEventListener("keydown", (event) => {
  const tag = event.target.tagName, writes = tag === "SELECT" || event.ctrlKey || event.metaKey;
  if (event.key === " " && !["BUTTON", "INPUT", "SELECT", "SUMMARY"].includes(tag)) {
    play(!state.playing); event.preventDefault();
  }
  const keys = { ",": () => jump(state.frame - 1), ".": () => jump(state.frame + 1),
    p: () => nextMoment(-1), n: () => nextMoment(1) };
  if (!writes && event.key in keys) { play(false); keys[event.key](); }
});
addEventListener("resize", draw);
addEventListener("hashchange", () => { recall(); draw(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

recall();
fillChoices();
listenToMap(); listenToTime(); listenToChoices();
draw();
