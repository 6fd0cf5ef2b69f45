/* A job can be changed as long as it waits.  When it is begun, or gone, the form makes a new one. */
import { effect } from '@preact/signals';
import { editingId } from './draft';
import { isWaiting } from './job_kind';
import { isLoaded, jobOf } from './jobs';
import { say } from './messages';

export function startEditing(): void {
    effect(() => {
        const id = editingId.value;
        if (id === null || !isLoaded.value)
            return;
        const job = jobOf(id)?.value;
        if (job && (isWaiting(job.state) || job.state === 'paused'))
            return;
        editingId.value = null;
        say('The job that you were changing waits no longer; Generate makes a new one.');
    });
}
