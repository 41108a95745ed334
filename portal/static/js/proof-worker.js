// Finds the number behind a challenge: SHA-256(salt + number) in hexadecimal (ALTCHA). Runs beside the page.

const K = new Uint32Array(64);
{
  let found = 0;
  for (let n = 2; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
    if (prime) K[found++] = Math.floor((Math.cbrt(n) % 1) * 2 ** 32);
  }
}
const START = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const words = new Uint32Array(64);

function rotate(x, n) {
  return (x >>> n) | (x << (32 - n));
}

function compress(state, block, at) {
  for (let i = 0; i < 16; i++, at += 4) {
    words[i] = (block[at] << 24) | (block[at + 1] << 16) | (block[at + 2] << 8) | block[at + 3];
  }
  for (let i = 16; i < 64; i++) {
    const a = words[i - 15];
    const b = words[i - 2];
    const s0 = rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3);
    const s1 = rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10);
    words[i] = words[i - 16] + s0 + words[i - 7] + s1;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + words[i]) | 0;
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d;
  state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

function sha256(bytes) {
  const state = Uint32Array.from(START);
  const padded = new Uint8Array(((bytes.length + 8) >> 6) * 64 + 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setUint32(padded.length - 4, bytes.length * 8);
  for (let at = 0; at < padded.length; at += 64) compress(state, padded, at);
  return state;
}

addEventListener("message", ({ data }) => {
  const wanted = data.challenge.match(/.{8}/g).map((part) => parseInt(part, 16));
  const encoder = new TextEncoder();
  for (let number = 0; number <= data.maxnumber; number++) {
    const state = sha256(encoder.encode(data.salt + number));
    if (state[0] === wanted[0] && wanted.every((word, i) => state[i] === word)) {
      postMessage({ number });
      return;
    }
    if (number % 20000 === 0) postMessage({ done: number / data.maxnumber });
  }
  postMessage({ failed: true });
});
