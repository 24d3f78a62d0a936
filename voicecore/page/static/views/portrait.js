// @ts-check
/** Draws the face on a canvas from the numbers of `expression.js`. The body's radius is 1. */

const DARK = '#131b38';
/** Of the canvas' half width: the rest is room for the rings. */
const BODY_PART = 0.66;
const RING = '15, 150, 124';

/**
 * Draw one picture.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Record<string, number>} face as `aim` gives them
 * @param {{hears: number, speaks: number, blink: number, thought: number}} now all from 0 to 1;
 *   `thought` is how far the light has gone along the points of thought
 */
export function paint(context, face, now) {
  const half = context.canvas.width / 2;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, half * 2, half * 2);
  const scale = half * BODY_PART;
  context.setTransform(scale, 0, 0, scale, half, half);
  context.lineCap = 'round';
  context.lineJoin = 'round';
  rings(context, face, now);
  points(context, face, now.thought);
  context.rotate(face.tilt);
  body(context, face, now);
  context.translate(face.lookX, face.lookY);
  blush(context, face);
  eyes(context, face, now);
  brows(context, face);
  mouth(context, face, now.speaks);
}

function rings(context, face, now) {
  if (face.ring < 0.01) return;
  const wide = 1.12 + 0.3 * now.hears * face.ring;
  context.fillStyle = `rgba(${RING}, ${0.13 * face.ring + 0.12 * now.hears})`;
  disc(context, wide);
  context.strokeStyle = `rgba(${RING}, ${0.75 * face.ring})`;
  context.lineWidth = 0.035;
  context.beginPath();
  context.arc(0, 0, 1.12, 0, 2 * Math.PI);
  context.stroke();
}

/** Where the eyes look while it thinks: up to the right, further and larger. */
function points(context, face, thought) {
  if (face.points < 0.01) return;
  for (let index = 0; index < 3; index += 1) {
    const light = 0.35 + 0.65 * Math.max(0, Math.sin(2 * Math.PI * (thought - index / 5)));
    context.fillStyle = `rgba(${face.darkR}, ${face.darkG}, ${face.darkB}, ${face.points * light})`;
    context.beginPath();
    context.arc(0.84 + 0.2 * index, -0.78 - 0.2 * index, 0.07 + 0.025 * index, 0, 2 * Math.PI);
    context.fill();
  }
}

function body(context, face, now) {
  if (now.speaks > 0.01) {
    context.fillStyle = `rgba(${face.darkR}, ${face.darkG}, ${face.darkB}, ${0.08 + 0.12 * now.speaks})`;
    disc(context, 1.05 + 0.22 * now.speaks);
  }
  const light = context.createRadialGradient(-0.34, -0.42, 0.05, 0, 0, 1.12);
  light.addColorStop(0, `rgb(${face.lightR}, ${face.lightG}, ${face.lightB})`);
  light.addColorStop(1, `rgb(${face.darkR}, ${face.darkG}, ${face.darkB})`);
  context.fillStyle = light;
  disc(context, 1);
}

function disc(context, radius) {
  context.beginPath();
  context.arc(0, 0, radius, 0, 2 * Math.PI);
  context.fill();
}

function blush(context, face) {
  if (face.blush < 0.02) return;
  context.fillStyle = `rgba(235, 92, 92, ${0.3 * face.blush})`;
  for (const side of [-1, 1]) {
    context.beginPath();
    context.ellipse(side * 0.58, 0.2, 0.15, 0.09, 0, 0, 2 * Math.PI);
    context.fill();
  }
}

function eyes(context, face, now) {
  const open = face.eyes * (1 - now.blink);
  for (const side of [-1, 1]) {
    if (open < 0.14) closedEye(context, side * 0.34);
    else openEye(context, side * 0.34, open);
  }
}

function openEye(context, x, open) {
  const height = 0.23 * open;
  context.fillStyle = DARK;
  context.beginPath();
  context.ellipse(x, -0.14, 0.115, Math.max(height, 0.05), 0, 0, 2 * Math.PI);
  context.fill();
  if (open < 0.5) return;
  context.fillStyle = 'rgba(255, 255, 255, 0.9)';
  context.beginPath();
  context.arc(x + 0.035, -0.14 - height * 0.42, 0.038, 0, 2 * Math.PI);
  context.fill();
}

function closedEye(context, x) {
  context.strokeStyle = DARK;
  context.lineWidth = 0.07;
  context.beginPath();
  context.moveTo(x - 0.13, -0.12);
  context.quadraticCurveTo(x, -0.02, x + 0.13, -0.12);
  context.stroke();
}

function brows(context, face) {
  if (face.brow < 0.02) return;
  context.strokeStyle = `rgba(19, 27, 56, ${face.brow})`;
  context.lineWidth = 0.07;
  for (const side of [-1, 1]) {
    const inner = -0.47 + 0.18 * face.browTilt;
    const outer = -0.47 - 0.3 * face.browTilt;
    context.beginPath();
    context.moveTo(side * 0.22, inner + 0.05 * Math.sign(face.browTilt));
    context.lineTo(side * 0.48, outer);
    context.stroke();
  }
}

function mouth(context, face, speaks) {
  const open = Math.min(0.5, face.open * (1 - speaks) + speaks * 0.42);
  const width = face.width * (1 - 0.18 * speaks);
  const bend = face.smile * 0.2;
  const top = 0.36 - open * 0.25;
  context.beginPath();
  context.moveTo(-width, top);
  context.quadraticCurveTo(0, top + bend, width, top);
  if (open > 0.02)
    context.bezierCurveTo(
      width,
      top + bend + open * 1.2,
      -width,
      top + bend + open * 1.2,
      -width,
      top,
    );
  context.lineWidth = 0.075;
  context.strokeStyle = DARK;
  context.fillStyle = DARK;
  context.stroke();
  if (open > 0.02) context.fill();
}
