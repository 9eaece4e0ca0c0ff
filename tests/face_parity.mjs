// Runs the npm package itself on JPEGs: node face_parity.mjs ROUNDS FILE...
// Beside each file it leaves the pixels as they were decoded (FILE.ppm) and prints a line of JSON:
// of each face score, box and expressions, and in milliseconds what the detection and the
// expressions of one face took in each of the rounds.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");
const faceapi = require("@vladmandic/face-api/dist/face-api.node-wasm.js");
const jpeg = require("jpeg-js");

const home = join(dirname(require.resolve("@vladmandic/face-api/package.json")), "model");
wasm.setWasmPaths(join(dirname(require.resolve("@tensorflow/tfjs-backend-wasm")), "/"));
await tf.setBackend("wasm");
await faceapi.nets.tinyFaceDetector.loadFromDisk(home);
await faceapi.nets.faceExpressionNet.loadFromDisk(home);
const options = new faceapi.TinyFaceDetectorOptions({ inputSize: 224 });

const [rounds, ...files] = process.argv.slice(2);

async function timed(work) {
  const took = [];
  for (let round = 0; round < rounds; round += 1) {
    const started = performance.now();
    await work();
    took.push(performance.now() - started);
  }
  return took;
}

for (const file of files) {
  const { width, height, data } = jpeg.decode(readFileSync(file), { formatAsRGBA: false });
  writeFileSync(`${file}.ppm`, Buffer.concat([Buffer.from(`P6 ${width} ${height} 255\n`), data]));
  const image = tf.tensor3d(new Int32Array(data), [height, width, 3], "int32");
  const found = await faceapi.detectAllFaces(image, options).withFaceExpressions();
  const faces = found.map(({ detection: { score, box }, expressions }) => ({
    score,
    x: box.x,
    y: box.y,
    width: box.width,
    height: box.height,
    expressions,
  }));
  const detect = await timed(() => faceapi.detectAllFaces(image, options));
  const [crop] = found.length ? await faceapi.extractFaceTensors(image, [found[0].detection]) : [];
  const express = crop
    ? await timed(() => faceapi.nets.faceExpressionNet.predictExpressions(crop))
    : [];
  console.log(JSON.stringify({ faces, detect, express }));
}
