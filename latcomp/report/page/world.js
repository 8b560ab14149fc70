// The world of a camera that moves: what it saw, how often each position was kept, the path of its centre, and the frame.
// Units are pixels of the video; offsets and boxes are in them too. Click calls seek(index of a frame).
const PICTURES_MOST = 40; // of a world's background

const makeWorld = (canvas, data, masks, pictureOf, seek) => {
  const frames = data.frames;
  const [width, height] = data.size;
  const aspect = (data.picture[0] / data.picture[1]) * (height / width); // of a pixel: its width over its height
  const turned = data.quarter_turns % 2 === 1;
  const context = canvas.getContext("2d");
  const back = document.createElement("canvas");
  let shown = null; // number of the world whose background is there
  let place = null; // {top, left, rows, columns, scale}: what the canvas shows, in pixels of the video
  let current = 0;

  const pixelsOf = (box) => ({ top: box[0] * data.spatial, left: box[1] * data.spatial, rows: box[2] * data.spatial, columns: box[3] * data.spatial });
  const onCanvas = (draw) => {
    const [across, down] = [place.columns * aspect * place.scale, place.rows * place.scale];
    context.save();
    context.translate(canvas.width / 2, canvas.height / 2);
    context.rotate((-data.quarter_turns * Math.PI) / 2);
    context.translate(-across / 2, -down / 2);
    draw(across, down);
    context.restore();
  };
  const x = (pixels) => (pixels - place.left) * aspect * place.scale;
  const y = (pixels) => (pixels - place.top) * place.scale;

  // the pictures of the world over each other, each twice: what moves fades, what stays is sharp
  const paintBack = async (number) => {
    const own = frames.map((frame, index) => index).filter((index) => frames[index].world === number);
    const each = Math.ceil(own.length / PICTURES_MOST);
    const images = own.filter((_, rank) => rank % each === 0 || rank === own.length - 1).map((index) => [frames[index], pictureOf(index)]);
    await Promise.all(images.map(([, image]) => image.decode().catch(() => null)));
    if (shown !== number) return;
    const paper = back.getContext("2d");
    paper.clearRect(0, 0, back.width, back.height);
    const put = ([frame, image]) => image.naturalWidth && paper.drawImage(image, x(frame.offset[1]), y(frame.offset[0]), width * aspect * place.scale, height * place.scale);
    images.forEach(put);
    paper.globalAlpha = 0.2;
    images.slice().reverse().forEach(put);
    paper.globalAlpha = 1;
    draw(current);
  };

  const line = (points, color, wide) => {
    if (points.length < 2) return;
    context.beginPath();
    points.forEach(([dy, dx]) => context.lineTo(x(dx + width / 2), y(dy + height / 2)));
    context.strokeStyle = color;
    context.lineWidth = wide;
    context.stroke();
  };

  const draw = (index) => {
    current = index;
    const frame = frames[index];
    const world = data.worlds[frame.world];
    if (!world) return;
    if (shown !== frame.world) {
      shown = frame.world;
      const box = pixelsOf(world.share.box);
      const wanted = [1680 / (turned ? box.rows : box.columns * aspect), 760 / (turned ? box.columns * aspect : box.rows)];
      place = { ...box, scale: Math.min(...wanted) };
      const sides = [Math.round(box.columns * aspect * place.scale), Math.round(box.rows * place.scale)];
      [back.width, back.height] = sides;
      [canvas.width, canvas.height] = turned ? sides.slice().reverse() : sides;
      paintBack(frame.world);
    }
    context.clearRect(0, 0, canvas.width, canvas.height);
    const image = pictureOf(index);
    const [dy, dx] = frame.offset;
    onCanvas((across, down) => {
      const here = [x(dx), y(dy), width * aspect * place.scale, height * place.scale];
      context.lineJoin = context.lineCap = "round";
      context.globalAlpha = 0.55;
      context.drawImage(back, 0, 0, across, down);
      context.globalAlpha = 1;
      if (image.complete && image.naturalWidth) context.drawImage(image, ...here);
      if (document.getElementById("overlay").checked && masks.paint(frame, "world")) {
        context.globalAlpha = Number(document.getElementById("opacity").value) / 100;
        context.imageSmoothingEnabled = false;
        context.drawImage(masks.canvas, 0, 0, across, down);
        context.globalAlpha = 1;
      }
      const unit = canvas.width / 1680;
      const all = world.path.map((point) => point.slice(1));
      const gone = [...world.path.filter((point) => point[0] < frame.frame).map((point) => point.slice(1)), frame.offset];
      line(all, "rgb(0 0 0 / 0.65)", 8 * unit);
      line(all, "rgb(255 255 255 / 0.75)", 3 * unit);
      line(gone, "#4ac6ff", 5 * unit);
      context.lineJoin = "miter";
      for (const [color, wide] of [["rgb(0 0 0 / 0.65)", 9], ["#ffffff", 4]]) {
        context.strokeStyle = color;
        context.lineWidth = wide * unit;
        context.strokeRect(...here);
      }
      context.beginPath();
      context.arc(here[0] + here[2] / 2, here[1] + here[3] / 2, 9 * unit, 0, 2 * Math.PI);
      context.fillStyle = "#4ac6ff";
      context.fill();
      context.lineWidth = 3 * unit;
      context.stroke();
    });
    canvas.dataset.frame = String(frame.frame);
  };

  // the frame of this world whose centre is nearest to where the pointer is
  const nearest = (event) => {
    const box = canvas.getBoundingClientRect();
    const fit = Math.min(box.width / canvas.width, box.height / canvas.height); // object-fit: contain
    const off = [(event.clientX - box.left - box.width / 2) / fit, (event.clientY - box.top - box.height / 2) / fit];
    const angle = (data.quarter_turns * Math.PI) / 2;
    const right = off[0] * Math.cos(angle) - off[1] * Math.sin(angle), below = off[0] * Math.sin(angle) + off[1] * Math.cos(angle);
    const at = [place.top + place.rows / 2 + below / place.scale, place.left + place.columns / 2 + right / place.scale / aspect];
    const far = (index) => Math.hypot(frames[index].offset[0] + height / 2 - at[0], frames[index].offset[1] + width / 2 - at[1]);
    const own = frames.map((_, index) => index).filter((index) => frames[index].world === shown);
    return own.reduce((best, index) => (far(index) < far(best) ? index : best), own[0]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    seek(nearest(event));
  });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) seek(nearest(event)); });
  return { draw };
};
