import assert from 'node:assert/strict';
import test from 'node:test';
import { check, errorsOf, fromRequest, parseBytes, toRequest, type FormValues } from '../src/form/values';
import type { Param, ParamType, VideoRequest } from '../src/types';

function param(name: string, type: ParamType, min: number | null = null, max: number | null = null, choices: string[] | null = null): Param {
    return { name, type, min, max, choices, default: null, help: name, metavar: null };
}

const steps = param('steps', 'int', 1, 1000);
const guidance = param('guidance', 'real', 0, 100);
const budget = param('memory_budget', 'bytes', 1 << 20, 2 ** 50);
const all: Param[] = [
    param('prompt', 'text'), steps, guidance, budget, param('scheduler', 'choice', null, null, ['unipc', 'euler']),
    param('control_scale', 'reals', 0, 10), param('reference', 'files'), param('lora', 'loras'), param('image', 'file'),
    param('segment_prompt', 'texts'),
];

test('numbers outside their range are said, with the range', () => {
    assert.equal(check(steps, '24'), null);
    assert.equal(check(steps, ''), null);
    assert.match(check(steps, '2000')!, /1 to 1000/);
    assert.match(check(steps, '0')!, /1 to 1000/);
    assert.match(check(steps, '2.5')!, /whole number/);
    assert.match(check(steps, 'many')!, /no number/);
    assert.equal(check(guidance, '2.5'), null);
    assert.match(check(guidance, '-1')!, /0 to 100/);
    assert.match(check(guidance, 'Infinity')!, /no number/);
});

test('a seed may be as large as a double holds exactly, no larger', () => {
    const seed = param('seed', 'int', 0, Number.MAX_SAFE_INTEGER);
    assert.equal(check(seed, '9007199254740991'), null);
    assert.ok(check(seed, '9007199254740992'));
});

test('sizes take units of 1024', () => {
    assert.equal(parseBytes('6G'), 6 * 1024 ** 3);
    assert.equal(parseBytes('1500 M'), 1500 * 1024 ** 2);
    assert.equal(parseBytes('2GiB'), 2 * 1024 ** 3);
    assert.equal(parseBytes('123456'), 123456);
    assert.equal(parseBytes('6 horses'), null);
    assert.match(check(budget, '1K')!, /expected/);
    assert.match(check(budget, 'much')!, /6G/);
});

test('choices and lists of numbers are checked item by item', () => {
    assert.match(check(all[4]!, 'magic')!, /unipc, euler/);
    assert.equal(check(all[5]!, '1, 0.5,2'), null);
    assert.ok(check(all[5]!, '1,,2'));
    assert.ok(check(all[5]!, '1, 11'));
});

test('a LoRA without a file or with a strange strength is said', () => {
    const lora = all[7]!;
    assert.equal(check(lora, []), null);
    assert.match(check(lora, [{ path: ' ', strength: '1', expert: 'both' }])!, /path/);
    assert.match(check(lora, [{ path: 'a', strength: 'strong', expert: 'both' }])!, /strength/);
});

test('a request has what was typed, as its types want it, and nothing else', () => {
    const values: FormValues = {
        prompt: ' a red ball ', steps: ' 24 ', guidance: '', memory_budget: '6G', scheduler: 'euler', control_scale: '1, 0.5',
        reference: ['upl_a.png', 'upl_b.png'], image: '', lora: [{ path: 'x.safetensors', strength: '', expert: 'high' }],
        of_another_model: '7', segment_prompt: ['it rains', '', ' the sun comes out '],
    };
    assert.deepEqual(toRequest('demo', all, values), {
        model: 'demo', prompt: ' a red ball ', steps: 24, memory_budget: 6 * 1024 ** 3, scheduler: 'euler', control_scale: [1, 0.5],
        reference: ['upl_a.png', 'upl_b.png'], lora: [{ path: 'x.safetensors', strength: 1, expert: 'high' }],
        segment_prompt: ['it rains', 'the sun comes out'],
    });
});

test('fields with errors are named and left out of the request', () => {
    const values: FormValues = { steps: '5000', guidance: '4' };
    assert.deepEqual(Object.keys(errorsOf(all, values)), ['steps']);
    assert.deepEqual(toRequest('demo', all, values), { model: 'demo', guidance: 4 });
});

test('a request goes into the form and comes out as it was', () => {
    const request: VideoRequest = {
        model: 'demo', prompt: 'a “quoted” ball\nin two lines', steps: 24, guidance: 4.5, memory_budget: 6442450944,
        scheduler: 'unipc', control_scale: [1, 0.25], reference: ['upl_a.png'], image: 'upl_b.png',
        lora: [{ path: 'x.safetensors', strength: 0.8, expert: 'both' }], segment_prompt: ['one', 'two'],
    };
    assert.deepEqual(toRequest('demo', all, fromRequest(request)), request);
});
