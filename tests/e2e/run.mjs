/* All tests of the page in a browser, one after the other: tools/test-e2e.sh. */
import { after } from 'node:test';
import { closeBrowser, closeStudios } from './studio.mjs';
import './first_use.mjs';
import './queue.mjs';
import './page.mjs';

after(async () => {
    await closeBrowser();
    await closeStudios();
});
