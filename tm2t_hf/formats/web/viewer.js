// Copyright 2026 The tm2t_hf team.
// Licensed under the Apache License, Version 2.0.
// The player of a motion page: one tile per motion, one clock for all. `npm run build` makes viewer.min.js of it.

import {
  BufferAttribute, BufferGeometry, CanvasTexture, Color, CylinderGeometry, DirectionalLight, DoubleSide, Group,
  HemisphereLight, Mesh, MeshBasicMaterial, MeshLambertMaterial, PerspectiveCamera, PlaneGeometry, Quaternion, Scene,
  ShaderMaterial, SphereGeometry, Vector3, WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";

const { motions, style } = JSON.parse(document.getElementById("motions").textContent);
const element = (id) => document.getElementById(id);
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;
const UP = new Vector3(0, 1, 0);
const ELEVATION = (14 * Math.PI) / 180;
const FIELD_OF_VIEW = 32;
const ICONS = {
  play: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 2l10 6-10 6z"/></svg>',
  pause: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 2h4v12H3zM9 2h4v12H9z"/></svg>',
  enlarge: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 2h5v2H4v3H2zM9 2h5v5h-2V4H9zM2 9h2v3h3v2H2zM12 9h2v5H9v-2h3z"/></svg>',
};

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

/** Joints in meters, (frames * joints * 3): the root as float32, all joints relative to it in whole units. */
function decode({ root, offsets, unit, joints }) {
  const roots = new DataView(bytes(root));
  const places = new DataView(bytes(offsets));
  const positions = new Float32Array(places.byteLength / 2);
  for (let i = 0; i < positions.length; i++) {
    const frame = Math.floor(i / (3 * joints));
    positions[i] = roots.getFloat32(4 * (3 * frame + (i % 3)), true) + unit * places.getInt16(2 * i, true);
  }
  return positions;
}

function discTexture() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const context = canvas.getContext("2d");
  const gradient = context.createRadialGradient(32, 32, 2, 32, 32, 32);
  gradient.addColorStop(0, "rgba(40,42,48,1)");
  gradient.addColorStop(0.5, "rgba(40,42,48,0.42)");
  gradient.addColorStop(1, "rgba(40,42,48,0)");
  context.fillStyle = gradient;
  context.fillRect(0, 0, 64, 64);
  return new CanvasTexture(canvas);
}

function floorMaterial() {
  return new ShaderMaterial({
    transparent: true,
    depthWrite: false,
    uniforms: { anchor: { value: new Vector3() }, line: { value: new Color(style.line).convertLinearToSRGB() } },
    vertexShader: `varying vec3 place;
      void main() { place = (modelMatrix * vec4(position, 1.0)).xyz; gl_Position = projectionMatrix * viewMatrix * vec4(place, 1.0); }`,
    fragmentShader: `varying vec3 place; uniform vec3 anchor; uniform vec3 line;
      void main() {
        vec2 cell = place.xz * 2.0;  // a line every half meter
        vec2 width = fwidth(cell);
        vec2 near = 1.0 - clamp(abs(fract(cell - 0.5) - 0.5) / width, 0.0, 1.0);
        vec2 drawn = near * clamp(0.9 / (1.0 + 6.0 * width), 0.0, 1.0);
        float fade = clamp(1.1 - distance(place.xz, anchor.xz) / 6.0, 0.0, 1.0);
        gl_FragColor = vec4(line, max(drawn.x, drawn.y) * fade);
      }`,
  });
}

/** A ribbon on the floor along the root, whose first part is drawn in a darker color as time goes on. */
class RootPath {
  constructor(points, color, height) {
    const count = points.length;
    const corners = new Float32Array(count * 6);
    const triangles = [];
    let side = new Vector3(1, 0, 0);
    for (let i = 0; i < count; i++) {
      const along = points[Math.min(i + 2, count - 1)].clone().sub(points[Math.max(i - 2, 0)]);
      if (along.length() > 1e-3) side = new Vector3(-along.z, 0, along.x).normalize();
      for (const [end, sign] of [[0, 1], [3, -1]]) {
        corners[6 * i + end] = points[i].x + sign * 0.014 * side.x;
        corners[6 * i + end + 1] = height;
        corners[6 * i + end + 2] = points[i].z + sign * 0.014 * side.z;
      }
      if (i > 0) triangles.push(2 * i - 2, 2 * i - 1, 2 * i, 2 * i, 2 * i - 1, 2 * i + 1);
    }
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(corners, 3));
    geometry.setIndex(triangles);
    this.mesh = new Mesh(geometry, new MeshBasicMaterial({ color, side: DoubleSide }));
  }

  show(frame) {
    this.mesh.geometry.setDrawRange(0, 6 * Math.floor(frame));
  }
}

/** Limbs that taper, a torso, a head, and a soft shadow under each joint. */
class Figure {
  constructor(motion, disc) {
    this.motion = motion;
    this.group = new Group();
    const materials = style.colors.map((color) => new MeshLambertMaterial({ color }));
    const sphere = new SphereGeometry(1, 24, 16);
    this.bones = motion.bones.map(([parent, joint, wide, narrow, color]) => {
      const limb = new Mesh(new CylinderGeometry(narrow, wide, 1, 20, 1, true), materials[color]);
      const ends = [wide, narrow].map((radius) => {
        const end = new Mesh(sphere, materials[color]);
        end.scale.setScalar(radius);
        return end;
      });
      this.group.add(limb, ...ends);
      return { parent, joint, limb, ends };
    });
    if (motion.head) {
      this.head = new Mesh(sphere, materials[2]);
      this.head.scale.set(0.09, 0.112, 0.098);
      this.group.add(this.head);
    }
    this.torso = new Mesh(new BufferGeometry(), new MeshLambertMaterial({ color: style.colors[2], flatShading: true, side: DoubleSide }));
    this.torso.geometry.setAttribute("position", new BufferAttribute(new Float32Array(24), 3));
    this.torso.geometry.setIndex([0, 1, 2, 0, 2, 3, 4, 6, 5, 4, 7, 6, 0, 4, 5, 0, 5, 1, 1, 5, 6, 1, 6, 2, 2, 6, 7, 2, 7, 3, 3, 7, 4, 3, 4, 0]);
    this.torso.frustumCulled = false;
    this.group.add(this.torso);
    const plane = new PlaneGeometry(1, 1).rotateX(-Math.PI / 2);
    this.shadows = Array.from({ length: motion.joints }, () => {
      const shadow = new Mesh(plane, new MeshBasicMaterial({ map: disc, transparent: true, depthWrite: false }));
      this.group.add(shadow);
      return shadow;
    });
    this.places = Array.from({ length: motion.joints }, () => new Vector3());
  }

  pose(frame) {
    const { positions, joints, frames } = this.motion;
    const before = Math.min(Math.floor(frame), frames - 1);
    const after = Math.min(before + 1, frames - 1);
    const share = frame - before;
    this.places.forEach((place, joint) => {
      const from = 3 * (before * joints + joint);
      const to = 3 * (after * joints + joint);
      const value = (axis) => positions[from + axis] + share * (positions[to + axis] - positions[from + axis]);
      place.set(value(0), value(1), value(2));
    });
    const along = new Vector3();
    for (const { parent, joint, limb, ends } of this.bones) {
      const [start, end] = [this.places[parent], this.places[joint]];
      along.subVectors(end, start);
      const length = Math.max(along.length(), 1e-6);
      limb.position.addVectors(start, end).multiplyScalar(0.5);
      limb.quaternion.setFromUnitVectors(UP, along.divideScalar(length));
      limb.scale.set(1, length, 1);
      ends[0].position.copy(start);
      ends[1].position.copy(end);
    }
    if (this.head) {
      const [head, neck] = this.motion.head.map((joint) => this.places[joint]);
      along.subVectors(head, neck);
      along.divideScalar(Math.max(along.length(), 1e-6));
      this.head.position.copy(head).addScaledVector(along, 0.07);
      this.head.quaternion.setFromUnitVectors(UP, along);
    }
    const corners = this.motion.torso.map((joint) => this.places[joint]);
    const normal = new Vector3().subVectors(corners[2], corners[0]).cross(new Vector3().subVectors(corners[3], corners[1])).normalize();
    const attribute = this.torso.geometry.attributes.position;
    for (const [offset, depth] of [[0, 0.068], [4, -0.068]]) {
      corners.forEach((corner, i) => attribute.setXYZ(offset + i, corner.x + depth * normal.x, corner.y + depth * normal.y, corner.z + depth * normal.z));
    }
    attribute.needsUpdate = true;
    this.shadows.forEach((shadow, joint) => {
      const { x, y, z } = this.places[joint];
      const height = Math.max(y, 0);
      shadow.position.set(x, 0.006 + joint * 1e-5, z);
      shadow.scale.setScalar(0.22 + 0.22 * height);
      shadow.material.opacity = 0.3 / (1 + 2.2 * height);
    });
  }
}

class Tile {
  constructor(motion, index, disc) {
    Object.assign(this, motion);
    this.positions = decode(motion);
    this.seconds = Math.max((this.frames - 1) / this.fps, 1 / this.fps);
    this.roots = Array.from({ length: this.frames }, (_, frame) => {
      const at = 3 * frame * this.joints;
      return new Vector3(this.positions[at], 0, this.positions[at + 2]);
    });
    this.scene = new Scene();
    this.scene.add(new HemisphereLight("#ffffff", "#c9c5bb", 2.3));
    this.sun = new DirectionalLight("#ffffff", 1.5);
    this.scene.add(this.sun, this.sun.target);
    this.floor = new Mesh(new PlaneGeometry(16, 16).rotateX(-Math.PI / 2), floorMaterial());
    this.figure = new Figure(this, disc);
    this.ahead = new RootPath(this.roots, style.ahead, 0.002);
    this.walked = new RootPath(this.roots, style.walked, 0.004);
    this.scene.add(this.floor, this.ahead.mesh, this.walked.mesh, this.figure.group);
    this.camera = new PerspectiveCamera(FIELD_OF_VIEW, 1, 0.05, 200);

    this.article = document.createElement("article");
    this.view = document.createElement("div");
    this.view.className = "view";
    this.view.tabIndex = 0;
    this.view.setAttribute("role", "img");
    this.view.setAttribute("aria-label", `Moving figure: ${this.caption || `motion ${index + 1}`}`);
    this.clock = this.add("div", "clock");
    const words = this.add("div", "words");
    this.article.prepend(this.view);
    for (const name of ["caption", "note"]) {
      if (!this[name]) continue;
      const line = document.createElement("p");
      line.className = name;
      line.textContent = this[name];
      words.append(line);
    }
    this.button = this.add("button");
    this.button.type = "button";
    this.button.innerHTML = ICONS.enlarge;
    this.button.setAttribute("aria-label", `Show only: ${this.caption || `motion ${index + 1}`}`);
    this.button.setAttribute("aria-pressed", "false");
    element("tiles").append(this.article);
    this.controls = new OrbitControls(this.camera, this.view);
    this.controls.maxPolarAngle = Math.PI / 2 - 0.02;
    this.controls.minDistance = 0.6;
    this.controls.maxDistance = 60;
  }

  add(tag, name) {
    const child = document.createElement(tag);
    if (name) child.className = name;
    this.article.append(child);
    return child;
  }

  /** Where the camera looks on the floor: a figure that travels far is followed smoothly. */
  anchor(frame) {
    const anchor = new Vector3();
    if (!(this.travels && element("follow").checked)) {
      for (const root of this.roots) anchor.addScaledVector(root, 1 / this.frames);
      return anchor;
    }
    const width = Math.max(1, Math.round(0.5 * this.fps));
    let total = 0;
    for (let offset = -width; offset <= width; offset++) {
      const weight = width + 1 - Math.abs(offset);
      const at = Math.min(Math.max(frame + offset, 0), this.frames - 1);
      const before = Math.floor(at);
      anchor.addScaledVector(this.roots[before], weight * (1 - (at - before)));
      anchor.addScaledVector(this.roots[Math.min(before + 1, this.frames - 1)], weight * (at - before));
      total += weight;
    }
    return anchor.divideScalar(total);
  }

  /** The nearest camera that keeps every joint of every frame in view. */
  frameAll() {
    const toward = new Vector3(Math.sin(this.azimuth) * Math.cos(ELEVATION), Math.sin(ELEVATION), Math.cos(this.azimuth) * Math.cos(ELEVATION));
    const right = new Vector3(Math.cos(this.azimuth), 0, -Math.sin(this.azimuth));
    const up = new Vector3().crossVectors(toward, right);
    const low = [Infinity, Infinity, Infinity];
    const high = [-Infinity, -Infinity, -Infinity];
    const point = new Vector3();
    for (let frame = 0; frame < this.frames; frame += Math.max(1, Math.floor(this.frames / 60))) {
      const anchor = this.anchor(frame);
      for (let joint = 0; joint < this.joints; joint++) {
        point.fromArray(this.positions, 3 * (frame * this.joints + joint)).sub(anchor);
        [right, up, toward].forEach((axis, i) => {
          low[i] = Math.min(low[i], point.dot(axis));
          high[i] = Math.max(high[i], point.dot(axis));
        });
      }
    }
    const middle = low.map((value, i) => (value + high[i]) / 2);
    const reach = [(high[0] - low[0]) / 2 + 0.2, (high[1] - low[1]) / 2 + 0.26, (high[2] - low[2]) / 2];
    const slope = Math.tan((FIELD_OF_VIEW * Math.PI) / 360);
    this.distance = reach[2] + Math.max(reach[1], 0.9, Math.max(reach[0], 0.5) / this.camera.aspect) / slope;
    this.shown = this.anchor(this.frame ?? 0);
    const target = this.shown.clone();
    [right, up, toward].forEach((axis, i) => target.addScaledVector(axis, middle[i]));
    this.controls.target.copy(target);
    this.camera.position.copy(target).addScaledVector(toward, this.distance);
    this.camera.lookAt(target);
    this.moved = false;
  }

  /** The same turn and zoom as another tile. */
  copyView(other) {
    const offset = new Vector3().subVectors(other.camera.position, other.controls.target);
    this.camera.position.copy(this.controls.target).addScaledVector(offset, this.distance / other.distance);
    this.camera.lookAt(this.controls.target);
  }

  show(seconds) {
    this.now = seconds > this.seconds ? seconds % this.seconds : seconds;
    this.frame = Math.min(this.now * this.fps, this.frames - 1);
    this.figure.pose(this.frame);
    this.walked.show(this.frame);
    const anchor = this.anchor(this.frame);
    const step = anchor.clone().sub(this.shown);
    this.camera.position.add(step);
    this.controls.target.add(step);
    this.shown = anchor;
    this.floor.position.set(anchor.x, 0, anchor.z);
    this.floor.material.uniforms.anchor.value.copy(anchor);
    this.sun.target.position.copy(anchor);
    this.sun.position.set(anchor.x + 2, 5, anchor.z + 3);
    this.clock.textContent = tiles.length > 1 ? `${this.now.toFixed(1)} / ${this.seconds.toFixed(1)} s` : "";
  }

  /** Draw into the part of the canvas behind this tile. */
  draw(renderer) {
    const { left, top, width, height } = this.view.getBoundingClientRect();
    if (width === 0 || height === 0 || top > innerHeight || top + height < 0) return;
    const bottom = innerHeight - top - height;
    renderer.setViewport(left, bottom, width, height);
    renderer.setScissor(left, bottom, width, height);
    const aspect = width / Math.max(height, 1);
    if (Math.abs(aspect - this.camera.aspect) > 1e-3) {
      this.camera.aspect = aspect;
      this.camera.updateProjectionMatrix();
      if (!this.moved) this.frameAll();
    }
    renderer.render(this.scene, this.camera);
  }
}

let renderer;
try {
  renderer = new WebGLRenderer({ antialias: true });
} catch {
  element("problem").hidden = false;
  throw new Error("WebGL is not available.");
}
document.body.prepend(renderer.domElement);
renderer.domElement.setAttribute("aria-hidden", "true");
renderer.setScissorTest(true);
renderer.setClearColor(style.background);

const disc = discTexture();
const tiles = [];
motions.forEach((motion, index) => tiles.push(new Tile(motion, index, disc)));
const main = element("tiles");
let selected = tiles[0];
let seconds = 0;
let playing = !reducedMotion;
let drawnAt = 0;
let waiting = false;
let laidOut = "";  // the size of the window that the page is laid out for

function layOut() {
  laidOut = `${innerWidth} ${innerHeight}`;
  const shown = main.classList.contains("single") ? 1 : tiles.length;
  // as many columns as make the tiles most nearly square
  const aspect = (columns) => innerWidth / columns / (Math.max(innerHeight - 180, 200) / Math.ceil(shown / columns));
  const fromSquare = (columns) => Math.abs(Math.log(aspect(columns)));
  const choices = Array.from({ length: shown }, (_, index) => index + 1);
  main.style.setProperty("--columns", choices.reduce((best, columns) => (fromSquare(columns) < fromSquare(best) ? columns : best)));
  renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
  renderer.setSize(innerWidth, innerHeight, false);
  const narrow = innerWidth <= 640;
  for (const tile of tiles) tile.view.style.touchAction = narrow && shown > 1 ? "pan-y" : "none";
  wake();
}

function length() {
  return main.classList.contains("single") ? selected.seconds : Math.max(...tiles.map((tile) => tile.seconds));
}

function select(tile) {
  selected = tile;
  for (const other of tiles) other.article.classList.toggle("selected", other === tile);
  element("tokens").replaceChildren(
    ...(tile.codes ?? []).map((code, place) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = code;
      button.setAttribute("aria-label", `Token ${code}, ${((place * tile.unit_length) / tile.fps).toFixed(1)} s`);
      button.addEventListener("click", () => seek((place * tile.unit_length) / tile.fps));
      item.append(button);
      return item;
    }),
  );
  wake();
}

function enlarge(tile) {
  const single = !(main.classList.contains("single") && selected === tile);
  main.classList.toggle("single", single);
  for (const other of tiles) other.button.setAttribute("aria-pressed", String(single && other === tile));
  select(tile);
  if (single) seconds = tile.now;
  layOut();
}

function play(on) {
  playing = on;
  element("play").innerHTML = on ? ICONS.pause : ICONS.play;
  element("play").setAttribute("aria-label", on ? "Pause" : "Play");
  wake();
}

function seek(to) {
  seconds = Math.min(Math.max(to, 0), length());
  play(false);
}

function wake() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(draw);
}

function draw(time) {
  waiting = false;
  // A frame that was read while it was hidden gets its size with no event that tells.
  if (laidOut !== `${innerWidth} ${innerHeight}`) layOut();
  if (playing) {
    const passed = Math.min((time - drawnAt) / 1000, 0.1);
    seconds = (seconds + passed * Number(element("speed").value)) % length();
    wake();
  }
  drawnAt = time;
  const timeline = element("timeline");
  timeline.max = length();
  timeline.value = seconds;
  element("clock").textContent = `${seconds.toFixed(1)} / ${length().toFixed(1)} s`;
  timeline.setAttribute("aria-valuetext", `${seconds.toFixed(1)} seconds`);
  renderer.setScissor(0, 0, innerWidth, innerHeight);
  renderer.setViewport(0, 0, innerWidth, innerHeight);
  renderer.clear();
  for (const tile of tiles) {
    if (tile.article.offsetParent === null) continue;
    tile.show(seconds);
    tile.draw(renderer);
  }
  const current = selected.codes ? Math.min(Math.floor(selected.frame / selected.unit_length + 1e-6), selected.codes.length - 1) : -1;
  const strip = element("tokens");
  [...strip.children].forEach((item, place) => {
    const button = item.firstChild;
    if ((button.getAttribute("aria-current") === "true") === (place === current)) return;
    button.setAttribute("aria-current", String(place === current));
    if (place === current) strip.scrollLeft = item.offsetLeft - strip.offsetLeft - strip.clientWidth / 2;
  });
}

for (const tile of tiles) {
  tile.frameAll();
  tile.view.addEventListener("pointerdown", () => tile !== selected && select(tile));
  tile.view.addEventListener("focus", () => tile !== selected && select(tile));
  tile.button.addEventListener("click", () => enlarge(tile));
  tile.button.hidden = tiles.length === 1;
  let copying = false;
  tile.controls.addEventListener("start", () => (copying = true));
  tile.controls.addEventListener("change", () => {
    wake();
    if (!copying) return;
    for (const other of tiles) {
      other.moved = true;
      if (other !== tile) other.copyView(tile);
    }
  });
  tile.controls.addEventListener("end", () => (copying = false));
}
element("play").addEventListener("click", () => play(!playing));
element("timeline").addEventListener("input", (event) => seek(event.target.valueAsNumber));
element("speed").addEventListener("change", wake);
for (const [id, event] of [["reset", "click"], ["follow", "change"]]) {
  element(id).addEventListener(event, () => {
    for (const tile of tiles) tile.frameAll();
    wake();
  });
}
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input[type=checkbox]")) return;
  const step = event.shiftKey ? 0.5 : 1 / selected.fps;
  if (event.key === " " && !event.target.matches("button")) play(!playing);
  else if (event.key === "ArrowLeft") seek(seconds - step);
  else if (event.key === "ArrowRight") seek(seconds + step);
  else if (event.key === "Home") seek(0);
  else if (event.key === "End") seek(length());
  else if (event.key === "Escape" && main.classList.contains("single") && tiles.length > 1) enlarge(selected);
  else return;
  event.preventDefault();
});
addEventListener("resize", layOut);
addEventListener("scroll", wake, { passive: true });
new ResizeObserver(wake).observe(main);
main.classList.toggle("single", tiles.length === 1);
main.classList.toggle("only", tiles.length === 1);
select(selected);
play(playing);
layOut();
