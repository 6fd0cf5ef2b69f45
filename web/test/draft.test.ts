/* What stands in the form, and what is said of it. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { clearForm, errors, loadRequest, model, numberOf, request, sendErrors, setValue } from '../src/state/draft';
import { models } from '../src/state/models';
import { plan, startPlan } from '../src/state/plan';
import type { Model, Param, ParamType } from '../src/types';

const param = (name: string, type: ParamType, min: number | null = null, max: number | null = null): Param =>
    ({ name, type, min, max, choices: null, default: null, help: '', metavar: null });

function make(name: string): Model {
    return {
        name, title: name, tasks: ['t2v'], builtin: false, support: 'ready', defaults: { frames: 17 },
        parameters: [param('prompt', 'text'), param('frames', 'int', 1, 100)],
    };
}

async function settled(): Promise<void> {
    while (plan.value.kind === 'asking')
        await new Promise((done) => setTimeout(done, 20));
}

function answer(body: unknown, status = 200): void {
    globalThis.fetch = async () => new Response(JSON.stringify(body), { status });
}

const PLAN = { fits: true, advice: null, need_bytes: 1, budget_bytes: 2, seconds: 3, dtype: 'f32', policy: {}, request: {} };

test('the demo is chosen where nothing is, and the first where there is no demo', () => {
    models.value = [make('other'), make('demo'), { ...make('broken'), parameters: [] }];
    assert.equal(model.value!.name, 'demo');
    models.value = [make('other')];
    assert.equal(model.value!.name, 'other');
    assert.equal(numberOf('frames'), 17);
    setValue('frames', '33');
    assert.equal(numberOf('frames'), 33);
    clearForm();
});

test("a plan's answer does not wipe away what sending said, and the next plan clears its own", async () => {
    models.value = [make('demo')];
    answer(PLAN);
    startPlan();
    sendErrors.value = { prompt: 'Describe the video first' };
    await settled();
    assert.equal(plan.value.kind, 'plan');
    assert.deepEqual(errors.value, { prompt: 'Describe the video first' });
    answer({ error: { code: 'KN_EINVAL', param: 'frames', message: 'frames: 18, expected 4n + 1' } }, 400);
    setValue('frames', '18');
    await settled();
    assert.equal(errors.value['frames'], 'frames: 18, expected 4n + 1');
    answer(PLAN);
    setValue('frames', '17');
    setValue('prompt', 'a ball');
    assert.deepEqual(errors.value, {});
    await settled();
    assert.equal(plan.value.kind, 'plan');
});

test('what cannot be sent is not planned', () => {
    setValue('frames', '1000');
    assert.equal(plan.value.kind, 'none');
    assert.ok(errors.value['frames']);
    clearForm();
});

test('the settings of a video replace all that stood in the form', () => {
    setValue('frames', '9');
    sendErrors.value = { prompt: 'x' };
    loadRequest({ model: 'demo', prompt: 'a star' });
    assert.deepEqual(request.value, { model: 'demo', prompt: 'a star' });
    assert.deepEqual(errors.value, {});
});
