// Kept tokens and bytes over time: an SVG, written as text at the width it is shown at. Click or drag calls seek(index of a frame).
const makeChart = (chart, data, seek) => {
  const frames = data.frames;
  let current = 0; // index of the frame the head stands at

  const LEFT = 46, RIGHT = 10, TOP = 18, HEIGHT = 96, BETWEEN = 30, BOTTOM = 22;
  const tallness = TOP + 2 * HEIGHT + BETWEEN + BOTTOM;
  const all = [...data.kept, ...data.bits];
  const from = all.length ? Math.min(...all.map((step) => step[0])) : 0;
  const to = all.length ? Math.max(from + 1e-6, ...all.map((step) => step[1])) : 1;
  let wide = 0;
  const across = (seconds) => LEFT + ((seconds - from) / (to - from)) * (wide - LEFT - RIGHT);

  const niceStep = (span, most) => {
    const sizes = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
    return sizes.find((size) => span / size <= most) || span;
  };
  const tickText = (seconds, step) => {
    if (step < 1) return `${seconds.toFixed(step < 0.1 ? 2 : 1)} s`;
    const whole = Math.round(seconds);
    if (to < 120) return `${whole} s`;
    const pad = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
  };
  const roundUp = (value) => {
    if (!(value > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((part) => part * power >= value * 0.999) * power;
  };
  const axisNumber = (value) => (value >= 1000 ? `${+(value / 1000).toFixed(1)}k` : `${+value.toFixed(2)}`);

  const steps = (columns, base, top, floor, scale) => {
    // closed shapes between two curves of steps, as one path
    let path = "";
    for (const column of columns) {
      const x0 = across(column[0]).toFixed(2), x1 = across(column[1]).toFixed(2);
      const y0 = (floor - base(column) * scale).toFixed(2), y1 = (floor - top(column) * scale).toFixed(2);
      path += `M${x0} ${y0}V${y1}H${x1}V${y0}Z`;
    }
    return path;
  };
  const outline = (columns, top, floor, scale) => {
    let path = "", last = null;
    for (const column of columns) {
      const joined = last !== null && Math.abs(column[0] - last) < 1e-3;
      path += `${joined ? "L" : "M"}${across(column[0]).toFixed(2)} ${(floor - top(column) * scale).toFixed(2)}H${across(column[1]).toFixed(2)}`;
      last = column[1];
    }
    return path;
  };

  const drawChart = () => {
    wide = Math.max(chart.clientWidth, 240);
    const keptFloor = TOP + HEIGHT, bitsFloor = TOP + 2 * HEIGHT + BETWEEN;
    // the first latent frame of a segment keeps all its tokens: where few keep much, those are cut off, so that the others can be read
    const ratios = data.kept.map((step) => step[2]).sort((one, other) => one - other);
    const usual = ratios.length ? ratios[Math.floor(0.94 * (ratios.length - 1))] : 1, most = ratios.length ? ratios[ratios.length - 1] : 1;
    const isCut = usual < most / 2;
    const keptMost = Math.min(100, roundUp(100 * (isCut ? 1.1 * usual : most)));
    const ratioOf = (column) => Math.min(column[2], keptMost / 100);
    const unit = Math.max(0, ...data.bits.map((step) => step[2] + step[3] + step[4])) >= 2000 ? ["kbit/s", 1000] : ["bit/s", 1];
    const bitsMost = roundUp(Math.max(0, ...data.bits.map((step) => step[2] + step[3] + step[4])) / unit[1]);
    let lines = "";
    for (const [floor, most] of [[keptFloor, keptMost], [bitsFloor, bitsMost]]) {
      for (const part of [0, 0.5, 1]) {
        const y = floor - part * HEIGHT;
        lines += `<line class="grid" x1="${LEFT}" x2="${wide - RIGHT}" y1="${y}" y2="${y}"/><text x="${LEFT - 6}" y="${y + 4}" text-anchor="end">${axisNumber(part * most)}</text>`;
      }
    }
    const step = niceStep(to - from, Math.max(2, Math.floor((wide - LEFT) / 80)));
    for (let number = Math.ceil(from / step - 1e-9); number * step <= to + 1e-9; number++) {
      const x = across(number * step);
      const anchor = x > wide - 24 ? "end" : "middle";
      lines += `<line class="grid" x1="${x}" x2="${x}" y1="${bitsFloor}" y2="${bitsFloor + 4}"/><text x="${x}" y="${bitsFloor + 17}" text-anchor="${anchor}">${tickText(number * step, step)}</text>`;
    }
    const scale = HEIGHT / keptMost * 100, bitScale = HEIGHT / bitsMost / unit[1];
    const sums = [0, 1, 2, 3].map((count) => (column) => column.slice(2, 2 + count).reduce((sum, bits) => sum + bits, 0));
    const svg =
      `<svg id="chart-svg" viewBox="0 0 ${wide} ${tallness}" width="${wide}" height="${tallness}" role="img" aria-label="Kept tokens and bytes over time">${lines}` +
      `<text class="title" x="${LEFT}" y="11">tokens kept, %${isCut ? " (more is cut off)" : ""}</text><text class="title" x="${LEFT}" y="${keptFloor + BETWEEN - 7}">${unit[0]}, without audio</text>` +
      `<path class="kept-area" d="${steps(data.kept, () => 0, ratioOf, keptFloor, scale)}"/>` +
      `<path class="kept-line" d="${outline(data.kept, ratioOf, keptFloor, scale)}"/>` +
      ["tokens", "mask", "other"].map((kind, place) => `<path class="${kind}" d="${steps(data.bits, sums[place], sums[place + 1], bitsFloor, bitScale)}"/>`).join("") +
      `<line id="head" class="head" y1="${TOP}" y2="${bitsFloor}"/></svg><div class="tip" hidden></div>`;
    chart.innerHTML = svg;
    moveHead(current);
  };

  const moveHead = (index) => {
    current = index;
    const head = document.getElementById("head");
    if (!head || !frames.length) return;
    const x = across(frames[current].seconds).toFixed(2);
    head.setAttribute("x1", x);
    head.setAttribute("x2", x);
  };

  const secondsAt = (event) => {
    const box = chart.getBoundingClientRect();
    const part = (event.clientX - box.left - LEFT) / (wide - LEFT - RIGHT);
    return from + Math.min(Math.max(part, 0), 1) * (to - from);
  };
  const nearest = (seconds) => {
    let low = 0, high = frames.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (frames[middle].seconds <= seconds + 1e-9) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const tip = (event) => {
    const box = chart.querySelector(".tip");
    if (!box) return;
    const seconds = secondsAt(event);
    const at = (columns) => columns.find((column) => column[0] <= seconds && seconds < column[1]) || null;
    const kept = at(data.kept), bits = at(data.bits);
    const lines = [clock(seconds)];
    if (kept) lines.push(`kept ${percent(kept[2])}`);
    if (bits) lines.push(`tokens ${bitRate(bits[2])}`, `masks ${bitRate(bits[3])}`, `rest ${bitRate(bits[4])}`);
    box.textContent = lines.join("\n");
    box.hidden = false;
    const x = across(seconds);
    box.style.left = `${x > wide / 2 ? Math.max(x - box.offsetWidth - 12, 0) : x + 12}px`;
  };

  chart.addEventListener("pointerdown", (event) => {
    if (!frames.length) return;
    chart.setPointerCapture(event.pointerId);
    seek(nearest(secondsAt(event)));
  });
  chart.addEventListener("pointermove", (event) => {
    if (event.buttons & 1 && frames.length) seek(nearest(secondsAt(event)));
    tip(event);
  });
  chart.addEventListener("pointerleave", () => {
    const box = chart.querySelector(".tip");
    if (box) box.hidden = true;
  });
  new ResizeObserver(() => { if (Math.max(chart.clientWidth, 240) !== wide) drawChart(); }).observe(chart);
  drawChart();
  return { moveHead };
};
