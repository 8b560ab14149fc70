// The page: player, theme, keys. text.js, masks.js, world.js and chart.js stand before it.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const el = (id) => document.getElementById(id);
  const frames = data.frames;
  const masks = makeMasks(data);
  let unpacked = true; // whether the keep masks could be

  // -- player ------------------------------------------------------------------------------------------------------------

  const stage = el("stage");
  const context = stage.getContext("2d");
  const pictures = new Map();
  let chart = null, world = null;
  const state = { at: 0, playing: false, began: 0, from: 0 };
  const turned = data.quarter_turns % 2 === 1;
  // small pictures are enlarged, so that the edges of the mask stay sharp
  const enlarge = Math.max(1, Math.ceil(640 / Math.max(...data.picture)));
  const inner = data.picture.map((side) => side * enlarge);
  [stage.width, stage.height] = turned ? [inner[1], inner[0]] : inner;

  const pictureOf = (index) => {
    let image = pictures.get(index);
    if (!image) {
      image = new Image();
      image.addEventListener("load", () => { if (state.at === index) show(index); });
      image.src = frames[index].picture;
      pictures.set(index, image);
    }
    return image;
  };

  const draw = () => {
    if (!frames.length) return;
    const image = pictureOf(state.at);
    for (let ahead = 1; ahead <= 4; ahead++) pictureOf((state.at + ahead) % frames.length);
    if (!image.complete) return; // its load event draws
    const [width, height] = inner;
    context.save();
    context.translate(stage.width / 2, stage.height / 2);
    context.rotate((-data.quarter_turns * Math.PI) / 2);
    context.translate(-width / 2, -height / 2);
    context.beginPath();
    context.rect(0, 0, width, height);
    context.clip();
    context.imageSmoothingEnabled = true;
    context.drawImage(image, 0, 0, width, height);
    const box = el("overlay").checked ? masks.paint(frames[state.at], el("mode").value) : null;
    if (box) {
      // the frame lies at its offset in the world, in which positions have their places: they stand out at its edges
      const [down, right] = [height / data.size[1], width / data.size[0]];
      const [dy, dx] = frames[state.at].offset;
      const [top, left, rows, columns] = box.map((side) => side * data.spatial);
      context.globalAlpha = Number(el("opacity").value) / 100;
      context.imageSmoothingEnabled = false;
      context.drawImage(masks.canvas, (left - dx) * right, (top - dy) * down, columns * right, rows * down);
    }
    context.restore();
    stage.dataset.frame = String(frames[state.at].frame);
  };

  const redraw = () => {
    draw();
    if (world && frames.length) world.draw(state.at);
  };

  const facts = () => {
    const frame = frames[state.at];
    const group = data.groups[frame.group];
    const [dy, dx] = frame.offset;
    const rows = [
      ["time", clock(frame.seconds)],
      ["frame", String(frame.frame)],
      ["latent frame", String(frame.latent_frame)],
      ["tokens kept in it", percent(frame.kept / frame.positions)],
    ];
    if (data.camera) rows.push(["camera, pixels", `${Math.abs(dx)} ${dx < 0 ? "left" : "right"}, ${Math.abs(dy)} ${dy < 0 ? "up" : "down"}`]);
    if (group) {
      rows.push(["group", `${frame.group}${group.key ? " (key)" : ""}`], ["filled by", group.fill === "lit" ? "the LIT" : "hold"]);
      rows.push(["bytes of the group", group.bytes.toLocaleString("en")]);
      rows.push(["bits per token", group.tokens_kept ? ((8 * group.bytes) / group.tokens_kept).toFixed(1) : "-"]);
    }
    if (!unpacked) rows.push(["keep mask", "this browser cannot unpack it"]);
    el("facts").replaceChildren(...rows.map(([name, value]) => {
      const box = document.createElement("div");
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = name;
      text.textContent = value;
      box.append(term, text);
      return box;
    }));
    el("scrub").setAttribute("aria-valuetext", `${clock(frame.seconds)}, frame ${frame.frame}`);
  };

  const show = (index) => {
    if (!frames.length) return;
    state.at = Math.min(Math.max(index, 0), frames.length - 1);
    el("scrub").value = String(state.at);
    redraw();
    facts();
    if (chart) chart.moveHead(state.at);
  };

  const setPlaying = (playing) => {
    if (playing && state.at === frames.length - 1) show(0);
    state.playing = playing && frames.length > 1;
    el("play").textContent = state.playing ? "Pause" : "Play";
    state.began = performance.now();
    state.from = frames.length ? frames[state.at].seconds : 0;
    if (state.playing) requestAnimationFrame(tick);
  };

  const tick = (now) => {
    if (!state.playing) return;
    const seconds = state.from + (Math.max(now - state.began, 0) / 1000) * Number(el("speed").value);
    let index = state.at;
    while (index + 1 < frames.length && frames[index + 1].seconds <= seconds) index++;
    if (index !== state.at) show(index);
    if (index === frames.length - 1) setPlaying(false);
    else requestAnimationFrame(tick);
  };

  const jump = (index) => {
    show(index);
    if (state.playing) setPlaying(true); // the clock goes on from here
  };

  const legend = () => {
    const mode = MODES[el("mode").value];
    const stops = Array.from({ length: 9 }, (_, step) => `rgb(${mode.ramp(step / 8).join(" ")})`);
    el("legend").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    el("legend-low").textContent = mode.low;
    el("legend-high").textContent = mode.high;
  };

  // -- theme -------------------------------------------------------------------------------------------------------------

  const isDark = () => {
    const set = document.documentElement.dataset.theme;
    return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const themeName = () => { el("theme-name").textContent = isDark() ? "Light" : "Dark"; };
  const flipTheme = () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("latcomp-theme", document.documentElement.dataset.theme); } catch { /* a page of a file may have no storage */ }
    themeName();
  };
  try {
    const kept = localStorage.getItem("latcomp-theme");
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch { /* as above */ }

  // -- wiring ------------------------------------------------------------------------------------------------------------

  const press = {
    " ": () => setPlaying(!state.playing),
    ArrowLeft: (event) => jump(state.at - (event.shiftKey ? 10 : 1)),
    ArrowRight: (event) => jump(state.at + (event.shiftKey ? 10 : 1)),
    Home: () => jump(0),
    End: () => jump(frames.length - 1),
    m: () => { el("overlay").checked = !el("overlay").checked; redraw(); },
    t: flipTheme,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    // a control keeps the keys that move it, but for the scrub bar, which is what these keys are for
    if (target.closest("select, #opacity, summary") && event.key.length !== 1) return;
    if (event.key === " " && target.closest("button, select, summary, input:not(#scrub)")) return;
    if (target.closest("select") && event.key.length === 1) return;
    const action = press[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
  el("first").addEventListener("click", () => jump(0));
  el("back").addEventListener("click", () => jump(state.at - 1));
  el("play").addEventListener("click", () => setPlaying(!state.playing));
  el("next").addEventListener("click", () => jump(state.at + 1));
  el("last").addEventListener("click", () => jump(frames.length - 1));
  stage.addEventListener("click", () => setPlaying(!state.playing));
  el("scrub").addEventListener("input", () => jump(Number(el("scrub").value)));
  el("speed").addEventListener("change", () => { if (state.playing) setPlaying(true); });
  el("overlay").addEventListener("change", redraw);
  el("opacity").addEventListener("input", redraw);
  el("mode").addEventListener("change", () => { legend(); draw(); });
  el("theme").addEventListener("click", flipTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themeName);

  const begin = async () => {
    themeName();
    legend();
    if (data.camera && frames.length) {
      el("world-card").hidden = false;
      el("mode").options[2].textContent = "how often kept while in view";
      const stops = Array.from({ length: 9 }, (_, step) => `rgb(${heat(step / 8).join(" ")})`);
      el("world-legend").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
      world = makeWorld(el("world"), data, masks, pictureOf, jump);
    }
    chart = makeChart(el("chart"), data, jump);
    if (!frames.length) {
      stage.hidden = true;
      el("empty").hidden = false;
      document.querySelectorAll(".player .controls").forEach((part) => { part.style.display = "none"; });
    }
    el("scrub").max = String(Math.max(frames.length - 1, 0));
    show(0);
    unpacked = await masks.unpack();
    show(state.at);
    document.documentElement.dataset.ready = "yes";
  };
  begin();
})();
