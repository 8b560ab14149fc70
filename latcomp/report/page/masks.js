// Keep masks as pictures: a pixel a position, coloured by when or how often it was kept.
const LATELY = 8; // latent frames until a token kept lately has faded

// from cold to hot, like a glowing body, so that lightness alone tells the order
const RAMP = [[43, 10, 98], [126, 30, 109], [212, 55, 74], [250, 130, 20], [253, 224, 58]];
const heat = (value) => {
  const place = Math.min(Math.max(value, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  return RAMP[low].map((part, index) => Math.round(part + (RAMP[low + 1][index] - part) * (place - low)));
};

// for each mode 256 colours: what a byte (an age, or a share of 255) is painted as, and how much of it
const colorsOf = (heatOf, amountOf) => Array.from({ length: 256 }, (_, byte) => [...heat(heatOf(byte)), Math.round(255 * amountOf(byte))]);
const MODES = {
  lately: {
    colors: colorsOf((age) => 1 - age / LATELY, (age) => Math.max(1 - age / LATELY, 0)),
    low: `${LATELY} latent frames ago`, high: "now", ramp: heat,
  },
  now: { colors: colorsOf(() => 0.72, (age) => (age === 0 ? 1 : 0)), low: "", high: "kept", ramp: () => heat(0.72) },
  share: {
    colors: colorsOf((part) => part / 255, (part) => (part ? 0.25 + (0.75 * part) / 255 : 0)),
    low: "0 %", high: "100 %", ramp: heat,
  },
  // over a whole world what is seldom kept leaves the picture clear
  world: { colors: colorsOf((part) => part / 255, (part) => (part / 255) ** 1.2) },
};

const inflate = async (bytes) => {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

const makeMasks = (data) => {
  const ages = new Map(); // by latent frame: of each position of its box, latent frames since it was kept
  const shares = new Map(); // by world: of each position of its box, how often it was kept
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  const unpackInto = (planes, found) => Object.entries(planes).map(async ([number, plane]) => {
    found.set(Number(number), { box: plane.box, bytes: await inflate(bytesOf(plane.data)) });
  });
  return {
    canvas,
    // resolves to whether the masks could be unpacked
    unpack: async () => {
      try {
        const planes = Object.fromEntries(Object.entries(data.worlds).map(([number, world]) => [number, world.share]));
        await Promise.all([...unpackInto(data.ages, ages), ...unpackInto(planes, shares)]);
        return true;
      } catch {
        return false;
      }
    },
    // paints the canvas for a frame; gives the box [top, left, rows, columns] it stands for, or null where there is nothing to paint
    paint: (frame, mode) => {
      const plane = mode === "share" || mode === "world" ? shares.get(frame.world) : ages.get(frame.latent_frame);
      if (!plane || plane.bytes.length !== plane.box[2] * plane.box[3]) return null;
      const [, , rows, columns] = plane.box;
      if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
      const image = context.createImageData(columns, rows);
      const colors = MODES[mode].colors;
      for (let index = 0; index < plane.bytes.length; index++) image.data.set(colors[plane.bytes[index]], 4 * index);
      context.putImageData(image, 0, 0);
      return plane.box;
    },
  };
};
