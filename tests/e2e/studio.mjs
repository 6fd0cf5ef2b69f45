/* What the tests of the page share: a studio of their own, a browser, and eyes on what must never happen.
 *
 * KINORA_PROGRAM (build/kinora), KINORA_PORT (any free one), KINORA_URL (a studio that runs already, whose jobs are all
 * removed; tests that stop and start their own are skipped), CHROMIUM (/usr/bin/chromium), KINORA_SHOTS (a folder for pictures of the page; none: no
 * pictures). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const { chromium } = createRequire(path.join(root, 'web/package.json'))('playwright-core');

/* A machine with other things to do: what takes seconds may take a minute. */
export const PATIENT_MS = 120000;
export const OWN_STUDIO = !process.env.KINORA_URL;
/* So many steps that the test is done long before the job. */
export const LONG_STEPS = '1000';

/* Those of tests that failed included. */
const running = new Set();

/* Of its own, for tests that stop it or give it a token. */
export async function startStudio({ token, dir, port = 0 } = {}) {
    if (!OWN_STUDIO)
        return { url: process.env.KINORA_URL, stop: async () => {} };
    const data = dir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'kinora-e2e-'));
    const program = process.env.KINORA_PROGRAM ?? path.join(root, 'build/kinora');
    const env = { ...process.env, KINORA_STATE_DIR: path.join(data, 'state'), KINORA_CACHE_DIR: path.join(data, 'cache'), OMP_WAIT_POLICY: 'passive' };
    if (token)
        env.KINORA_TOKEN = token;
    const args = ['serve', '--port', String(port), '--data-dir', data];
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const url = await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`kinora serve does not say where it is: ${said}`)), PATIENT_MS);
        const hear = (text) => {
            said += text;
            const found = /http:\/\/[0-9.:]+/.exec(said);
            if (found) {
                clearTimeout(timer);
                resolve(found[0]);
            }
        };
        child.stdout.on('data', hear);
        child.stderr.on('data', hear);
        child.on('error', reject);
        child.on('exit', (code) => reject(new Error(`kinora serve ended with ${code}: ${said}`)));
    }).catch((e) => {
        child.kill();
        if (!dir)
            fs.rmSync(data, { recursive: true, force: true });
        throw e;
    });
    const stop = async ({ keep = false } = {}) => {
        running.delete(stop);
        if (child.exitCode === null) {
            const gone = new Promise((resolve) => child.on('exit', resolve));
            child.kill('SIGTERM');
            await gone;
        }
        if (!keep)
            fs.rmSync(data, { recursive: true, force: true });
    };
    running.add(stop);
    return { url, data, port: Number(new URL(url).port), stop };
}

let shared = null;

/* The one that all other tests use, one after the other. */
export function openStudio() {
    shared ??= startStudio({ port: process.env.KINORA_PORT });
    return shared;
}

export async function closeStudios() {
    for (const stop of [...running])
        await stop();
    shared = null;
}

let browser = null;

export async function openBrowser() {
    browser ??= await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
    return browser;
}

export async function closeBrowser() {
    await browser?.close();
    browser = null;
}

/* A page in a fresh profile.  `wrongs` collects what no visit may cause: errors of scripts, what the content security policy
 * refused, requests to anywhere else. */
export async function openPage(url, { width = 1440, height = 900, scheme = 'light', isPhone = false, tab = 'generate' } = {}) {
    const context = await (await openBrowser()).newContext({
        viewport: { width, height }, colorScheme: scheme, isMobile: isPhone, hasTouch: isPhone, deviceScaleFactor: isPhone ? 2 : 1,
    });
    context.setDefaultTimeout(PATIENT_MS);
    const page = await context.newPage();
    const wrongs = [];
    page.on('pageerror', (e) => wrongs.push(`script: ${e.message}`));
    page.on('console', (m) => {
        if (m.type() === 'error' && !/Failed to load resource|WebSocket connection/.test(m.text()))
            wrongs.push(`console: ${m.text()}`);
    });
    page.on('request', (r) => {
        const to = new URL(r.url());
        if (!['data:', 'blob:'].includes(to.protocol) && to.host !== new URL(url).host)
            wrongs.push(`request to ${to.host}`);
    });
    await page.goto(`${url}/#/${tab}`);
    return { page, context, wrongs, close: () => context.close() };
}

export async function shot(page, name) {
    if (!process.env.KINORA_SHOTS)
        return;
    fs.mkdirSync(process.env.KINORA_SHOTS, { recursive: true });
    await page.screenshot({ path: path.join(process.env.KINORA_SHOTS, `${name}.png`) });
}

export async function api(url, method, where, body) {
    const init = { method, headers: { 'Content-Type': 'application/json' } };
    if (body !== undefined)
        init.body = JSON.stringify(body);
    const reply = await fetch(url + where, init);
    assert.ok(reply.ok, `${method} ${where}: ${reply.status} ${reply.ok ? '' : await reply.text()}`);
    return reply.json();
}

export async function until(what, why) {
    const end = Date.now() + PATIENT_MS;
    for (;;) {
        const found = await what();
        if (found)
            return found;
        assert.ok(Date.now() < end, `waited in vain: ${why}`);
        await new Promise((resolve) => setTimeout(resolve, 150));
    }
}

/* Nothing of other tests is left. */
export async function clearJobs(url) {
    const all = await api(url, 'GET', '/api/v1/jobs?limit=199');
    for (const job of all.jobs)
        await api(url, 'DELETE', `/api/v1/jobs/${job.id}`);
}

/* A small finished video, made without the page. */
export async function makeVideo(url, prompt) {
    const job = await api(url, 'POST', '/api/v1/jobs', { model: 'testsrc', prompt, width: 96, height: 64, frames: 8, steps: 1 });
    await until(async () => (await api(url, 'GET', `/api/v1/jobs/${job.id}`)).state === 'completed', `a video of ${prompt}`);
    return job.id;
}

export async function field(page, name, value) {
    await page.locator(`#field-${name}`).fill(value);
}

export const generateButton = (page) => page.getByRole('button', { name: 'Generate', exact: true });
