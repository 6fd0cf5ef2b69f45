/* The line of jobs, and what was made. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { api, clearJobs, makeVideo, openPage, shot, openStudio, until } from './studio.mjs';

let studio;
before(async () => {
    studio = await openStudio();
});

const submit = (prompt, more = {}) =>
    api(studio.url, 'POST', '/api/v1/jobs', { model: 'testsrc', prompt, width: 96, height: 64, frames: 8, steps: 1, ...more });
const waiting = (page) => page.locator('section:has(> h2:text("Waiting")) .job-prompt').allInnerTexts();
const row = (page, prompt) => page.locator('.job-row', { has: page.getByRole('button', { name: prompt, exact: true }) });

async function isOrder(page, expected) {
    await until(async () => (await waiting(page)).join() === expected.join(), `the order ${expected.join()}`);
}

test('waiting jobs are moved, edited, paused and cancelled', async () => {
    await clearJobs(studio.url);
    const { page, wrongs, close } = await openPage(studio.url, { tab: 'queue' });
    await page.getByText('Nothing to do').waitFor();
    await page.getByRole('button', { name: 'Hold the queue' }).click();
    await page.getByText('The queue is held').waitFor();
    for (const prompt of ['one', 'two', 'three'])
        await submit(prompt);
    await isOrder(page, ['one', 'two', 'three']);
    await row(page, 'three').getByRole('button', { name: 'Move up' }).click();
    await isOrder(page, ['one', 'three', 'two']);
    await row(page, 'two').getByRole('button', { name: 'To the front' }).click();
    await isOrder(page, ['two', 'one', 'three']);
    await row(page, 'two').getByRole('button', { name: 'Move down' }).click();
    await isOrder(page, ['one', 'two', 'three']);
    await row(page, 'three').getByLabel('Priority').selectOption('100');
    await isOrder(page, ['three', 'one', 'two']);
    await shot(page, '10-queue-light');
    await row(page, 'one').getByRole('button', { name: 'Edit' }).click();
    await page.locator('#field-prompt').fill('one, changed');
    await page.getByRole('button', { name: 'Save the changes' }).click();
    await page.getByText('The waiting job is changed').waitFor();
    await page.getByRole('link', { name: 'Queue' }).click();
    await isOrder(page, ['three', 'one, changed', 'two']);
    await row(page, 'two').getByRole('button', { name: 'Pause' }).click();
    await isOrder(page, ['three', 'one, changed']);
    await row(page, 'two').getByRole('button', { name: 'Go on' }).click();
    await row(page, 'three').getByRole('button', { name: 'Duplicate' }).click();
    await until(async () => (await waiting(page)).filter((p) => p === 'three').length === 2, 'the duplicate');
    await row(page, 'one, changed').getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Failed and cancelled').waitFor();
    await page.getByRole('button', { name: 'Begin jobs again' }).click();
    await until(async () => (await api(studio.url, 'GET', '/api/v1/jobs?state=completed')).jobs.length === 3, 'the rest is made');
    await row(page, 'one, changed').getByRole('button', { name: 'Retry' }).click();
    await until(async () => (await api(studio.url, 'GET', '/api/v1/jobs?state=completed')).jobs.length === 4, 'the retry is made');
    assert.deepEqual(wrongs, []);
    await close();
});

test('outputs are found, played, used again and deleted', async () => {
    await makeVideo(studio.url, 'a needle in the hay');
    const { page, wrongs, close } = await openPage(studio.url, { tab: 'outputs' });
    await page.locator('.output').first().waitFor();
    await until(async () => (await page.locator('.output').count()) >= 2, 'the gallery');
    await until(() => page.locator('.output img').first().evaluate((i) => i.complete && i.naturalWidth > 0), 'thumbnails');
    await shot(page, '11-outputs-light');
    await page.getByLabel('Search in prompts').fill('NEEDLE');
    await until(async () => (await page.locator('.output').count()) === 1, 'what was searched');
    await page.locator('.output-open').hover();
    await until(() => page.locator('.output video').evaluate((v) => v.currentTime > 0), 'it plays when pointed at');
    await page.locator('.output-open').click();
    const dialog = page.getByRole('dialog', { name: 'Video' });
    await until(() => dialog.locator('video').evaluate((v) => v.currentTime > 0), 'it plays in the dialog');
    await shot(page, '12-output-light');
    const download = page.waitForEvent('download');
    await dialog.getByRole('link', { name: 'Download' }).click();
    assert.match((await download).suggestedFilename(), /\.mp4$/);
    await dialog.getByRole('button', { name: 'Use these settings' }).click();
    await page.locator('#field-prompt').waitFor();
    assert.equal(await page.locator('#field-prompt').inputValue(), 'a needle in the hay');
    assert.equal(await page.locator('#field-model').inputValue(), 'testsrc');
    await page.goBack();
    await page.locator('.output-open').first().click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog', { name: 'Delete this video?' }).getByRole('button', { name: 'Delete' }).click();
    await page.getByText('Nothing found').waitFor();
    const left = (await api(studio.url, 'GET', '/api/v1/jobs?text=needle')).jobs;
    assert.equal(left.length, 0);
    assert.deepEqual(wrongs, []);
    await close();
});

test('a failure keeps its reason', async () => {
    const picture = await fetch(`${studio.url}/api/v1/uploads`, { method: 'POST', body: Buffer.from('not a picture') });
    assert.ok(!picture.ok);
    const { page, close } = await openPage(studio.url);
    await page.locator('#field-model').selectOption('demo');
    await page.locator('#field-image').setInputFiles({ name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('not a picture') });
    const message = page.getByRole('alert');
    await message.waitFor();
    assert.match(await message.innerText(), /not a picture/);
    await message.getByRole('button', { name: 'Dismiss' }).click();
    await until(async () => (await message.count()) === 0, 'the message goes');
    await close();
});

test('of a long line the first part is shown, and the rest when it is asked for', async () => {
    const n = 106;
    const { page, wrongs, close } = await openPage(studio.url, { tab: 'queue' });
    await clearJobs(studio.url);
    await api(studio.url, 'POST', '/api/v1/queue/pause', {});
    for (let i = 0; i < n; i++)
        await submit(`number ${i}`);
    const more = page.getByRole('button', { name: `Show more (${n - 100} left)` });
    await more.waitFor();
    await until(async () => (await waiting(page)).length === 100, 'the first hundred');
    await row(page, 'number 99').getByRole('button', { name: 'Move down' }).click();
    await until(async () => (await waiting(page))[99] === 'number 100', 'one comes from behind');
    await more.click();
    await until(async () => (await waiting(page)).length === n, 'all of them');
    assert.deepEqual((await waiting(page)).slice(98, 103), ['number 98', 'number 100', 'number 99', 'number 101', 'number 102']);
    await clearJobs(studio.url);
    await api(studio.url, 'POST', '/api/v1/queue/resume', {});
    assert.deepEqual(wrongs, []);
    await close();
});
