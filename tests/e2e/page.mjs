/* The page itself: sizes, themes, settings, a server that goes away, a server that wants a token. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { api, makeVideo, openPage, openStudio, OWN_STUDIO, shot, startStudio, until } from './studio.mjs';

const TABS = ['generate', 'queue', 'outputs', 'models', 'settings'];

let studio;
before(async () => {
    studio = await openStudio();
});

const brightness = (page) =>
    page.evaluate(() => {
        const c = document.createElement('canvas').getContext('2d');
        c.fillStyle = getComputedStyle(document.documentElement).backgroundColor;
        c.fillRect(0, 0, 1, 1);
        const [r, g, b] = c.getImageData(0, 0, 1, 1).data;
        return (r + g + b) / 3;
    });

test('every tab fits a narrow phone, with the tabs below', async () => {
    await makeVideo(studio.url, 'colour bars');
    const { page, wrongs, close } = await openPage(studio.url, { width: 380, height: 780, isPhone: true });
    for (const tab of TABS) {
        await page.goto(`${studio.url}/#/${tab}`);
        await page.locator('#main > *').first().waitFor();
        await until(() => page.evaluate(() => document.querySelectorAll('.meter-value').length >= 2), 'resources');
        await page.evaluate(() => document.querySelectorAll('details').forEach((d) => (d.open = true)));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(wide <= 0, `${tab} is ${wide} pixels wider than the phone`);
        const nav = await page.locator('.tabs').boundingBox();
        assert.ok(Math.abs(nav.y + nav.height - 780) <= 1, `the tabs end at ${nav.y + nav.height}`);
        await shot(page, `20-phone-${tab}`);
    }
    assert.deepEqual(wrongs, []);
    await close();
});

test('light and dark follow the system and the setting, and survive a reload', async () => {
    const { page, wrongs, close } = await openPage(studio.url, { scheme: 'dark' });
    assert.ok((await brightness(page)) < 60);
    for (const tab of TABS) {
        await page.goto(`${studio.url}/#/${tab}`);
        await page.locator('#main > *').first().waitFor();
        await page.waitForTimeout(300);
        await shot(page, `21-dark-${tab}`);
    }
    await page.getByText('Light', { exact: true }).click();
    assert.ok((await brightness(page)) > 200);
    await page.reload();
    assert.ok((await brightness(page)) > 200);
    await page.getByText('Dark', { exact: true }).click();
    await page.emulateMedia({ colorScheme: 'light' });
    assert.ok((await brightness(page)) < 60);
    await page.getByText('System', { exact: true }).click();
    assert.ok((await brightness(page)) > 200);
    assert.deepEqual(wrongs, []);
    await close();
});

test('settings are checked, saved and there after a reload', async () => {
    const { page, wrongs, close } = await openPage(studio.url, { tab: 'settings' });
    const input = page.locator('#setting-max_queue_size');
    const save = page.getByRole('button', { name: 'Save' });
    await input.fill('0');
    await page.getByText(/Expected a whole number from 1/).waitFor();
    assert.ok(await save.isDisabled());
    await input.fill('77');
    await save.click();
    await page.getByText('Settings saved').waitFor();
    const { settings } = await api(studio.url, 'GET', '/api/v1/settings');
    assert.equal(settings.find((s) => s.name === 'max_queue_size').value, 77);
    await page.reload();
    await until(async () => (await input.inputValue()) === '77', 'the saved value');
    await input.fill('1000');
    await save.click();
    await page.getByText('Settings saved').waitFor();
    assert.deepEqual(wrongs, []);
    await close();
});

test('models say what they are and take', async () => {
    const { page, close } = await openPage(studio.url, { tab: 'models' });
    const demo = page.locator('.model', { hasText: 'text to video' }).filter({ hasText: 'demo' }).first();
    await demo.locator('summary').click();
    await demo.getByText('guidance_method').waitFor();
    await shot(page, '22-models-light');
    await demo.getByRole('button', { name: 'Generate' }).click();
    await until(async () => (await page.locator('#field-model').inputValue()) === 'demo', 'the model is chosen');
    await close();
});

test('a model that stays in memory is named, and can be unloaded', async () => {
    await makeVideo(studio.url, 'a green ring');
    const { page, close } = await openPage(studio.url, { tab: 'models' });
    const line = page.locator('.loaded', { hasText: 'In memory' });
    await line.waitFor();
    await shot(page, '22-loaded-light');
    await line.getByRole('button', { name: 'Unload' }).click();
    await line.waitFor({ state: 'detached' });
    await until(async () => (await api(studio.url, 'GET', '/api/v1/models/loaded')).loaded.length === 0, 'it is gone');
    await close();
});

test('the keyboard is enough', async () => {
    const { page, close } = await openPage(studio.url);
    await page.locator('#field-prompt').waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Generate');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await page.locator('.output-open').first().focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog', { name: 'Video' }).waitFor();
    await page.keyboard.press('Escape');
    await until(async () => (await page.getByRole('dialog').count()) === 0, 'Escape closes the dialog');
    assert.match(await page.evaluate(() => document.activeElement.className), /output-open/);
    await close();
});

test('a server that went away is waited for, and everything is there when it is back', { skip: !OWN_STUDIO }, async () => {
    let own = await startStudio();
    const { page, close } = await openPage(own.url, { tab: 'outputs' });
    await page.getByText('No videos yet').waitFor();
    await page.locator('.dot.live').waitFor();
    await own.stop({ keep: true });
    await page.getByText('The server does not answer').waitFor();
    await shot(page, '23-away-light');
    own = await startStudio({ dir: own.data, port: own.port });
    await makeVideo(own.url, 'made while the page was away');
    await page.locator('.dot.live').waitFor();
    await page.getByText('made while the page was away').waitFor();
    assert.equal(await page.locator('.banner').count(), 0);
    await close();
    await own.stop();
});

test('a studio with a token asks for it once', { skip: !OWN_STUDIO }, async () => {
    const token = 'correct-horse-battery-staple-0123456789';
    const own = await startStudio({ token });
    const { page, wrongs, close } = await openPage(own.url);
    await page.getByLabel('Token', { exact: true }).fill('not the token at all, but as long');
    await shot(page, '24-login-light');
    await page.getByRole('button', { name: 'Open the studio' }).click();
    await page.getByText('This is not the token').waitFor();
    await page.getByLabel('Token', { exact: true }).fill(token);
    await page.getByRole('button', { name: 'Open the studio' }).click();
    await page.locator('#field-prompt').waitFor();
    await page.locator('.dot.live').waitFor();
    await page.reload();
    await page.locator('#field-prompt').waitFor();
    assert.equal(await page.getByLabel('Token', { exact: true }).count(), 0);
    assert.deepEqual(wrongs, []);
    await close();
    await own.stop();
});
