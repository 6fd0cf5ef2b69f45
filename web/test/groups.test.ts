import assert from 'node:assert/strict';
import test from 'node:test';
import { layout, shapes, takenParams } from '../src/form/groups';
import type { Model, Param } from '../src/types';

const param = (name: string): Param =>
    ({ name, type: 'int', min: null, max: null, choices: null, default: null, help: '', metavar: null });
const names = (list: readonly Param[]) => list.map((p) => p.name);

function model(tasks: string[], parameters: string[]): Model {
    return { name: 'm', title: 'M', tasks, builtin: false, support: 'ready', parameters: parameters.map(param) };
}

const ALL = ['model', 'prompt', 'negative_prompt', 'image', 'last_image', 'video', 'mask', 'width', 'height', 'frames', 'steps',
    'scheduler', 'lora', 'vae', 'save_tensors', 'output', 'latents', 'brand_new'];

test('a picture is asked for only where the model takes one', () => {
    assert.ok(!names(takenParams(model(['t2v'], ALL))).includes('image'));
    const i2v = names(takenParams(model(['t2v', 'i2v'], ALL)));
    assert.ok(i2v.includes('image') && !i2v.includes('last_image') && !i2v.includes('video'));
    const every = names(takenParams(model(['t2v', 'i2v', 'flf2v', 'v2v'], ALL)));
    assert.ok(['image', 'last_image', 'video', 'mask'].every((n) => every.includes(n)));
});

test('what a client cannot set has no field', () => {
    const taken = names(takenParams(model(['t2v'], ALL)));
    for (const hidden of ['model', 'output', 'save_tensors', 'latents'])
        assert.ok(!taken.includes(hidden), hidden);
});

test('every parameter has exactly one place, also one nobody has heard of', () => {
    const taken = takenParams(model(['t2v', 'i2v'], ALL));
    const l = layout(taken);
    const placed = [
        ...names(l.prompt), l.image!.name, l.size!.width.name, l.size!.height.name, ...names(l.main),
        ...l.more.flatMap((g) => names(g.params)),
    ];
    assert.deepEqual([...placed].sort(), names(taken).sort());
    assert.deepEqual(names(l.more.at(-1)!.params), ['brand_new']);
    assert.equal(l.more.at(-1)!.title, 'Other');
});

test('a model without sizes has no size field', () => {
    assert.equal(layout([param('prompt'), param('width')]).size, null);
});

test("shapes keep about the model's area and its own size where it fits", () => {
    const wan = shapes(832, 480);
    assert.deepEqual(wan[0], { name: 'Wide', width: 832, height: 480 });
    assert.deepEqual(wan[2], { name: 'Tall', width: 480, height: 832 });
    for (const s of [...wan, ...shapes(96, 96), ...shapes(480, 832)]) {
        assert.equal(s.width % 16, 0);
        assert.equal(s.height % 16, 0);
    }
    assert.ok(Math.abs(wan[1]!.width * wan[1]!.height - 832 * 480) < 0.1 * 832 * 480);
    assert.deepEqual(shapes(96, 96)[1], { name: 'Square', width: 96, height: 96 });
});
