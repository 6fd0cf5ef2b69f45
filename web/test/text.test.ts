import assert from 'node:assert/strict';
import test from 'node:test';
import { waitBefore } from '../src/backoff';
import { about, ago, bytes, duration, label, perStep, plural, typedBytes } from '../src/format';
import { tabOf } from '../src/router';
import { sparkline } from '../src/state/resources';
import { problemOf, sentValue } from '../src/tabs/setting_input';
import type { Setting } from '../src/types';

test('sizes', () => {
    assert.equal(bytes(213000000), '213 MB');
    assert.equal(bytes(22400000000), '22.4 GB');
    assert.equal(bytes(999), '999 B');
    assert.equal(bytes(999900), '1 MB');
    assert.equal(bytes(0), '0 B');
    assert.equal(bytes(null), '–');
    assert.equal(typedBytes(107374182400), '100G');
    assert.equal(typedBytes(1500), '1500');
    assert.equal(typedBytes(0), '0');
});

test('times', () => {
    assert.equal(duration(0.2), 'under 1 s');
    assert.equal(duration(6.04), '6 s');
    assert.equal(duration(59.7), '1 min 00 s');
    assert.equal(duration(125), '2 min 05 s');
    assert.equal(duration(3599.6), '1 h 00 min');
    assert.equal(duration(7380), '2 h 03 min');
    assert.equal(about(0.3), 'under 1 s');
    assert.equal(about(12), 'about 12 s');
    assert.equal(about(null), 'time not known yet');
    assert.equal(perStep(0.223), '0.22 s a step');
    assert.equal(perStep(12.4), '12 s a step');
    assert.equal(ago(100, 130), 'just now');
    assert.equal(ago(100, 100 + 7200), '2 h ago');
    assert.equal(plural(1, 'job'), '1 job');
    assert.equal(plural(2, 'job'), '2 jobs');
});

test('labels', () => {
    assert.equal(label('negative_prompt'), 'Negative prompt');
    assert.equal(label('gpu_max_concurrency'), 'GPU maximum concurrency');
    assert.equal(label('memory_budget_bytes'), 'Memory budget');
    assert.equal(label('fps'), 'FPS');
});

test('addresses', () => {
    assert.equal(tabOf('#/queue'), 'queue');
    assert.equal(tabOf('#/outputs/more'), 'outputs');
    assert.equal(tabOf(''), 'generate');
    assert.equal(tabOf('#/nowhere'), 'generate');
});

test('waiting doubles, is spread out, and ends at half a minute', () => {
    assert.equal(waitBefore(0, () => 1), 500);
    assert.equal(waitBefore(0, () => 0), 250);
    assert.equal(waitBefore(3, () => 1), 4000);
    assert.equal(waitBefore(1000, () => 1), 30000);
    for (let i = 0; i < 20; i++) {
        const ms = waitBefore(i);
        assert.ok(ms >= 250 && ms <= 30000);
    }
});

test('sparklines end at the right edge and stay in their box', () => {
    const points = sparkline([-5, 0, 50, 100, 180], 59, 20).split(' ').map((p) => p.split(',').map(Number));
    assert.deepEqual(points.at(-1), [59, 0]);
    assert.deepEqual(points[0], [55, 20]);
    assert.deepEqual(points[2], [57, 10]);
});

test('settings are checked as they are typed', () => {
    const count: Setting = { name: 'max_queue_size', type: 'int', min: 1, max: 10000, choices: null, value: 1000, default: 1000, help: '' };
    const size: Setting = { ...count, name: 'memory_budget_bytes', min: 0, max: 2 ** 50, value: 0 };
    assert.equal(problemOf(count, '20'), null);
    assert.match(problemOf(count, '0')!, /1 to 10000/);
    assert.ok(problemOf(count, ''));
    assert.ok(problemOf(count, '2.5'));
    assert.equal(problemOf(size, '20G'), null);
    assert.ok(problemOf(size, '20 apples'));
    assert.equal(sentValue(size, '1K'), 1024);
    assert.equal(sentValue(count, ' 20 '), 20);
    assert.equal(sentValue({ ...count, type: 'bool' }, true), true);
});
