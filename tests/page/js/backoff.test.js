import { Backoff, Heartbeat } from '/page/core/backoff.js';
import { equal, ok, random } from './assert.js';

export function waits_grow_to_their_most_and_begin_again() {
  const backoff = new Backoff(() => 0.5);
  equal([1, 2, 3, 4, 5, 6].map(() => backoff.next()), [500, 1_000, 2_000, 4_000, 8_000, 8_000]);
  backoff.reset();
  equal(backoff.next(), 500);
}

export function they_vary_by_a_quarter() {
  const backoff = new Backoff(random(7));
  const waits = Array.from({ length: 200 }, () => (backoff.reset(), backoff.next()));
  ok(Math.min(...waits) >= 375 && Math.max(...waits) <= 625);
  ok(new Set(waits).size > 50);
}

export function two_pings_without_an_answer_are_too_many() {
  const heartbeat = new Heartbeat();
  heartbeat.ping(0);
  equal(heartbeat.dead, false);
  heartbeat.ping(10_000);
  equal(heartbeat.dead, true);
  heartbeat.pong(10_050);
  equal(heartbeat.dead, false);
}

export function the_answer_tells_the_round_trip() {
  const heartbeat = new Heartbeat();
  equal(heartbeat.pong(5), null);
  heartbeat.ping(100);
  equal([heartbeat.pong(140), heartbeat.rttMs], [40, 40]);
}
