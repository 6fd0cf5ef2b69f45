/* OpenAI's own client against a studio: it is given an address and a token, and nothing else. */
import assert from 'node:assert/strict';
import { File } from 'node:buffer';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, toFile } from 'openai';
import { closeStudios, startStudio, until } from '../e2e/studio.mjs';

globalThis.File ??= File; // node 18

const TOKEN = 'a-token-of-this-test';
/* What the library cannot know of: the demo model is quick, but not with as many steps as it has by itself. */
const QUICK = { num_inference_steps: 2, num_frames: 5 };
const PICTURE = new URL('../fixtures/media/quadrants.jpg', import.meta.url);

let studio;
let client;
before(async () => {
    studio = await startStudio({ token: TOKEN });
    client = new OpenAI({ apiKey: TOKEN, baseURL: `${studio.url}/v1` });
});
after(closeStudios);

/* As the library's makers advise: ask again when the server says. */
async function finished(video) {
    let last = video;
    await until(async () => {
        const { data, response } = await client.videos.retrieve(video.id).withResponse();
        assert.ok(Number(response.headers.get('openai-poll-after-ms')) > 0);
        assert.ok(data.progress >= 0 && data.progress <= 100);
        last = data;
        return ['completed', 'failed'].includes(data.status);
    }, `the end of ${video.id}`);
    assert.equal(last.status, 'completed', JSON.stringify(last.error));
    return last;
}

function isVideo(video, expected) {
    assert.equal(video.object, 'video');
    assert.match(video.id, /^job_/);
    assert.ok(['queued', 'in_progress', 'completed', 'failed'].includes(video.status));
    assert.ok(Number.isInteger(video.created_at) && Math.abs(video.created_at - Date.now() / 1000) < 3600);
    assert.match(video.size, /^[0-9]+x[0-9]+$/);
    assert.match(video.seconds, /^[0-9.]+$/);
    for (const name of ['completed_at', 'error', 'expires_at', 'remixed_from_video_id', 'progress'])
        assert.ok(name in video, name);
    for (const [name, value] of Object.entries(expected))
        assert.deepEqual(video[name], value, name);
}

const bytesOf = async (response) => Buffer.from(await response.arrayBuffer());

test('a video is made of a sentence, and downloaded', async () => {
    const made = await client.videos.create({ model: 'demo', prompt: 'a red ball rolling to the right', ...QUICK });
    isVideo(made, { model: 'demo', prompt: 'a red ball rolling to the right', completed_at: null, error: null });
    const video = await finished(made);
    isVideo(video, { id: made.id, progress: 100, size: made.size, seconds: made.seconds });
    assert.ok(video.completed_at >= video.created_at);

    const content = await client.videos.downloadContent(video.id);
    assert.equal(content.headers.get('content-type'), 'video/mp4');
    assert.equal((await bytesOf(content)).subarray(4, 8).toString(), 'ftyp');
    const same = await client.videos.downloadContent(video.id, { variant: 'video' });
    assert.equal((await bytesOf(same)).subarray(4, 8).toString(), 'ftyp');
    const thumbnail = await client.videos.downloadContent(video.id, { variant: 'thumbnail' });
    assert.match(thumbnail.headers.get('content-type'), /^image\//);
    assert.equal((await bytesOf(thumbnail)).subarray(1, 4).toString(), 'PNG');
    await assert.rejects(client.videos.downloadContent(video.id, { variant: 'spritesheet' }), APIError);

    const remixed = await client.videos.remix(video.id, { prompt: 'a blue star spins' });
    isVideo(remixed, { prompt: 'a blue star spins', remixed_from_video_id: video.id, size: video.size, seconds: video.seconds });
    await finished(remixed);
});

test('size and seconds as the service has them', async () => {
    const made = await client.videos.create({ model: 'testsrc', prompt: 'bars', size: '64x32', seconds: '1' });
    isVideo(made, { size: '64x32', model: 'testsrc' });
    assert.ok(Math.abs(Number(made.seconds) - 1) < 0.2, made.seconds);
    await finished(made);
});

test('a picture comes along: as a file, as JSON with its bytes', async () => {
    const words = { model: 'demo', prompt: 'a red ball rolling to the right', ...QUICK };
    const files = [fs.createReadStream(PICTURE), await toFile(fs.readFileSync(PICTURE), 'first.jpg', { type: 'image/jpeg' })];
    for (const input_reference of files)
        await finished(await client.videos.create({ ...words, input_reference }));
    const image_url = `data:image/jpeg;base64,${fs.readFileSync(PICTURE).toString('base64')}`;
    await finished(await client.videos.create({ ...words, input_reference: { image_url } }));
    await finished(await client.post('/videos', { body: { ...words, input_reference: { image_url } } }));
    const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'image/jpeg' };
    const kept = await (await fetch(`${studio.url}/api/v1/uploads`, { method: 'POST', headers, body: fs.readFileSync(PICTURE) })).json();
    await finished(await client.videos.create({ ...words, input_reference: { file_id: kept.id } }));
    await assert.rejects(client.videos.create({ ...words, input_reference: { image_url, file_id: kept.id } }), BadRequestError);
});

test('the list is walked page by page', async () => {
    const ids = [];
    for (const prompt of ['one', 'two', 'three'])
        ids.push((await client.videos.create({ model: 'testsrc', prompt, size: '64x32', seconds: '1' })).id);
    const first = await client.videos.list({ limit: 2 });
    assert.deepEqual(first.data.map((v) => v.id), [ids[2], ids[1]]);
    assert.ok(first.hasNextPage());
    const second = await first.getNextPage();
    assert.equal(second.data[0].id, ids[0]);
    const after = await client.videos.list({ limit: 1, after: ids[1] });
    assert.equal(after.data[0].id, ids[0]);

    const all = [];
    for await (const video of client.videos.list({ limit: 2, order: 'asc' }))
        all.push(video.id);
    assert.deepEqual(all.slice(-3), ids);
    assert.equal(new Set(all).size, all.length);
});

test('a video is deleted, also while it is made', async () => {
    const long = await client.videos.create({ model: 'demo', prompt: 'a red ball', num_inference_steps: 1000 });
    await until(async () => (await client.videos.retrieve(long.id)).status === 'in_progress', 'the beginning');
    assert.deepEqual(await client.videos.delete(long.id), { id: long.id, object: 'video.deleted', deleted: true });
    await assert.rejects(client.videos.retrieve(long.id), NotFoundError);
    await assert.rejects(client.videos.downloadContent(long.id), NotFoundError);
});

test('mistakes are errors of the kind that the library has for them', async () => {
    await assert.rejects(client.videos.create({ model: 'demo', prompt: 'a ball', size: 'large' }), (e) => {
        assert.ok(e instanceof BadRequestError);
        assert.deepEqual([e.status, e.param, e.type, e.code], [400, 'size', 'invalid_request_error', 'KN_EINVAL']);
        assert.match(e.message, /WIDTHxHEIGHT/);
        return true;
    });
    const stranger = new OpenAI({ apiKey: 'not-it', baseURL: `${studio.url}/v1` });
    await assert.rejects(stranger.videos.list(), AuthenticationError);
});

test('models are listed', async () => {
    const names = [];
    for await (const model of client.models.list())
        names.push(model.id);
    assert.ok(names.includes('demo') && names.includes('testsrc'));
    assert.equal((await client.models.retrieve('demo')).id, 'demo');
    await assert.rejects(client.models.retrieve('sora-2'), NotFoundError);
});
