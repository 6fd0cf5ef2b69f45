/* From an empty studio to a video that plays. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { api, clearJobs, field, generateButton, LONG_STEPS, openPage, shot, openStudio, until } from './studio.mjs';

let studio;
before(async () => {
    studio = await openStudio();
});

test('first use: describe, see the cost, generate, watch it grow, watch it', async () => {
    await clearJobs(studio.url);
    const { page, wrongs, close } = await openPage(studio.url);
    await page.getByText('No videos yet').waitFor();
    await page.locator('#field-model').selectOption('demo');
    await field(page, 'prompt', 'a red ball rolling to the right');
    await field(page, 'seed', '7');
    await page.locator('.plan.fits:not(.old)').waitFor();
    assert.match(await page.locator('.plan').innerText(), /Fits: .* of .*(about|under)/);
    await shot(page, '01-form-light');
    await page.locator('#field-prompt').press('Control+Enter');
    await page.locator('.stage [role=progressbar]').waitFor();
    const seen = new Set();
    await until(async () => {
        for (const text of await page.locator('.stage .progress-text strong').allInnerTexts())
            seen.add(text);
        if (seen.size > 0 && !seen.has('shot')) {
            seen.add('shot');
            await shot(page, '02-running-light');
        }
        return (await page.locator('.stage video').count()) > 0;
    }, 'the video');
    const video = page.locator('.stage video');
    await until(() => video.evaluate((v) => v.currentTime > 0 && !v.paused && v.videoWidth === 96), 'the video plays');
    const first = await video.evaluate((v) => v.currentTime);
    await until(() => video.evaluate((v, t) => v.currentTime !== t, first), 'its time goes on');
    await shot(page, '03-finished-light');
    const { jobs } = await api(studio.url, 'GET', '/api/v1/jobs?state=completed');
    assert.equal(jobs[0].request.prompt, 'a red ball rolling to the right');
    assert.equal(jobs[0].request.seed, 7);
    assert.deepEqual(wrongs, []);
    await close();
});

test('a step of sampling, its time and what remains are said while it runs', async () => {
    const { page, close } = await openPage(studio.url);
    await page.locator('#field-model').selectOption('demo');
    await field(page, 'prompt', 'a blue star spins');
    await field(page, 'steps', LONG_STEPS);
    await generateButton(page).click();
    await page.getByText(/step \d+ of 1000 · [\d.]+ s a step · (about .* left|nearly done)/).waitFor();
    const bar = page.locator('.stage [role=progressbar]');
    await until(async () => Number(await bar.getAttribute('aria-valuenow')) > 0, 'the bar moves');
    await page.locator('.stage img.preview').waitFor();
    await until(() => page.locator('.stage img.preview').evaluate((i) => i.naturalWidth > 0), 'the preview is a picture');
    await shot(page, '04-preview-light');
    await page.locator('.stage').getByRole('button', { name: 'Cancel' }).click();
    await page.locator('.stage').getByText('Cancelled').first().waitFor();
    await close();
});

test('a reload keeps the draft, the tab and the job', async () => {
    const { page, wrongs, close } = await openPage(studio.url);
    await page.locator('#field-model').selectOption('demo');
    await field(page, 'prompt', 'a green ring grows');
    await field(page, 'steps', LONG_STEPS);
    await page.reload();
    assert.equal(await page.locator('#field-prompt').inputValue(), 'a green ring grows');
    assert.equal(await page.locator('#field-steps').inputValue(), LONG_STEPS);
    await generateButton(page).click();
    await page.getByText(/step \d+ of 1000/).waitFor();
    await page.reload();
    await page.getByText(/step \d+ of 1000/).waitFor();
    await page.locator('.stage').getByRole('button', { name: 'Pause' }).click();
    await page.locator('.stage').getByRole('button', { name: 'Go on' }).waitFor();
    await page.reload();
    await page.locator('.stage').getByRole('button', { name: 'Go on' }).click();
    await page.getByText(/step \d+ of 1000/).waitFor();
    await page.locator('.stage').getByRole('button', { name: 'Cancel' }).click();
    await page.locator('.stage').getByRole('button', { name: 'Retry' }).waitFor();
    await page.goto(`${studio.url}/#/outputs`);
    await page.reload();
    await page.getByRole('heading', { name: 'Outputs' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Outputs' }).getAttribute('aria-current'), 'page');
    assert.deepEqual(wrongs, []);
    await close();
});

test('what cannot be is said beside its field and never sent', async () => {
    const { page, close } = await openPage(studio.url);
    await page.locator('#field-model').selectOption('demo');
    await generateButton(page).click();
    await page.getByText('Describe the video first').waitFor();
    await field(page, 'prompt', 'a ball');
    await field(page, 'steps', '5000');
    await page.getByText('5000: expected 1 to 1000').waitFor();
    assert.equal(await page.locator('#field-steps').getAttribute('aria-invalid'), 'true');
    const before = (await api(studio.url, 'GET', '/api/v1/jobs')).jobs.length;
    await generateButton(page).click();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'field-steps');
    assert.equal((await api(studio.url, 'GET', '/api/v1/jobs')).jobs.length, before);
    await field(page, 'steps', '4');
    await page.locator('.plan.fits:not(.old)').waitFor();
    assert.equal(await page.locator('.field-error').count(), 0);
    await close();
});

test('a picture is uploaded, shown and used', async () => {
    const { page, close } = await openPage(studio.url);
    const made = (await api(studio.url, 'GET', '/api/v1/jobs?state=completed')).jobs[0];
    const png = Buffer.from(await (await fetch(studio.url + made.thumbnail_url)).arrayBuffer());
    await page.locator('#field-model').selectOption('demo');
    await field(page, 'prompt', 'the ball moves up');
    await page.locator('#field-image').setInputFiles({ name: 'first.png', mimeType: 'image/png', buffer: png });
    await until(() => page.locator('.media-preview img').evaluate((i) => i.naturalWidth > 0), 'the preview of the upload');
    await field(page, 'steps', '2');
    await generateButton(page).click();
    const job = await until(
        async () => (await api(studio.url, 'GET', '/api/v1/jobs')).jobs.find((j) => j.request.prompt === 'the ball moves up'), 'the job');
    assert.match(job.request.image, /^upl_.*\.png$/);
    await until(async () => (await api(studio.url, 'GET', `/api/v1/jobs/${job.id}`)).state === 'completed', 'it is made');
    await page.locator('.media-preview').getByRole('button', { name: 'Remove' }).click();
    await page.getByText('Drop a file here').waitFor();
    await close();
});
