// Numbers as people read them, and bytes out of text.
const clock = (seconds) => {
  const sign = seconds < 0 ? "-" : "";
  const size = Math.abs(seconds);
  const minutes = Math.floor(size / 60);
  const rest = (size - 60 * minutes).toFixed(2);
  return minutes ? `${sign}${minutes}:${rest.padStart(5, "0")}` : `${sign}${rest} s`;
};
const percent = (ratio) => `${(100 * ratio).toFixed(1)} %`;
const bitRate = (bits) => (bits >= 2e6 ? `${(bits / 1e6).toFixed(2)} Mbit/s` : `${(bits / 1e3).toFixed(1)} kbit/s`);
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
