import assert from 'node:assert/strict';
import test from 'node:test';
import { Camera, labels } from '../player/camera.js';
import { Cast } from '../player/cast.js';

const object = (group, id, size = 1) => ({ group, object: id, payload: new Uint8Array(size), skipped: false });
const names = (held) => held.map(({ kind, object: o }) => `${kind[0]}${o.group}/${o.object}`).join(' ');
const TRACK = { mime: 'video/mp4', init: new Uint8Array() };

/** A camera with picture and sound, as its catalog says. */
function offer(camera) {
  camera.offer([], { video: TRACK, audio: TRACK });
  return camera;
}

test('a camera is held from the head of a group on, with its sound', () => {
  const camera = offer(new Camera(0, ['a']));
  const hold = (all, kind, group, id) => camera.hold(kind, object(group, id), all);
  hold(true, 'audio', 6, 40);
  hold(true, 'audio', 7, 0);
  hold(true, 'video', 6, 29);
  assert.equal(camera.ready, false, 'a group that has no head is no beginning');
  hold(true, 'video', 7, 0);
  hold(true, 'video', 7, 1);
  hold(true, 'audio', 7, 1);
  hold(true, 'video', 8, 0);
  assert.equal(names(camera.release()), 'a7/0 v7/0 v7/1 a7/1 v8/0');
  assert.equal(camera.ready, false);
});

test('of a camera that is only watched, the newest group is held', () => {
  const camera = offer(new Camera(0, ['a']));
  for (const group of [7, 8]) for (const id of [0, 1]) for (const kind of ['video', 'audio']) camera.hold(kind, object(group, id), false);
  assert.equal(names(camera.release()), 'v8/0 a8/0 v8/1 a8/1');
});

test('what is held is bounded', () => {
  const camera = offer(new Camera(0, ['a']));
  camera.hold('video', object(7, 0, 40 << 20), true);
  camera.hold('video', object(7, 1, 40 << 20), true);
  assert.equal(camera.ready, false);
  camera.hold('video', object(8, 0, 40 << 20), true);
  camera.hold('video', object(9, 0), true);
  assert.equal(names(camera.release()), 'v9/0', 'the newer group alone');
});

test('cameras are called what their names do not have in common', () => {
  assert.deepEqual(labels([['room', 'a'], ['room', 'b', 'c']]), ['a', 'b/c']);
  assert.deepEqual(labels([['a'], ['b']]), ['a', 'b']);
  assert.deepEqual(labels([['room'], ['room', 'b']]), ['room', 'room/b']);
  assert.deepEqual(labels([['room', 'a']]), ['a']);
});

test('one camera is always shown, several by their catalogs and what comes of them', () => {
  const one = new Cast([['a']], () => {});
  assert.equal(one.shows(one.cameras[0]) && one.cameras[0].pulled && one.speaks(one.cameras[0]), true);

  let told = 0;
  const cast = new Cast([['r', 'a'], ['r', 'b']], () => told++);
  const [a, b] = cast.cameras.map(offer);
  assert.equal(cast.speaks(a), true, 'there is none');
  cast.found(b);
  assert.deepEqual([a.pulled, b.pulled], [false, false], 'the first may yet come');
  cast.found(a);
  assert.deepEqual([a.pulled, b.pulled], [true, false]);
  assert.equal(cast.speaks(b), false);
  const comes = (camera, isNew, group, id) => {
    cast.hear(camera, 'video', { isNew: () => isNew }, object(group, id));
    return cast.audition(camera, 'video', object(group, id));
  };
  assert.equal(comes(a, false, 7, 0), false, 'the relay may have that of one that is gone');
  assert.equal(comes(a, true, 7, 1), true);
  assert.equal(names(a.release()), 'v7/0 v7/1');
  cast.direct();
  assert.deepEqual(cast.states.map((c) => [c.name, c.there, c.shown]), [['a', true, true], ['b', true, false]]);
  cast.choose(1);
  assert.deepEqual([a.pulled, b.pulled], [true, true]);
  assert.equal(comes(b, true, 90, 3), false, 'the middle of a group');
  assert.equal(comes(b, true, 91, 0), true);
  cast.direct();
  assert.deepEqual([a.pulled, b.pulled], [false, true]);
  assert.deepEqual(cast.states.map((c) => c.chosen), [false, true]);
  cast.lost(b);
  assert.deepEqual([a.pulled, b.pulled], [true, false]);
  assert.equal(cast.states.some((c) => c.shown || c.chosen), false);
  assert.ok(told >= 4);
});

test('a camera that is only watched is asked for after what is shown', () => {
  const cast = new Cast([['a'], ['b']], () => {});
  const [a, b] = cast.cameras.map(offer);
  cast.lost(a);
  cast.found(b);
  assert.deepEqual([b.pulled, b.watched], [true, false]);
  cast.hear(b, 'video', { isNew: () => true }, object(1, 0));
  assert.equal(cast.audition(b, 'video', object(1, 0)), true);
  cast.found(a);
  assert.deepEqual([a.pulled, a.watched], [true, true]);
});
