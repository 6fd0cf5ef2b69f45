/* What the request in the form would cost, asked whenever it changes. */
import { effect, signal } from '@preact/signals';
import { ApiError, isAbort, messageOf, post } from '../api';
import type { Plan } from '../types';
import { params, request, planErrors, values } from './draft';
import { errorsOf } from '../form/values';

export type PlanState =
    | { kind: 'none' }
    | { kind: 'asking'; last: Plan | null }
    | { kind: 'plan'; plan: Plan }
    | { kind: 'refused'; message: string };

export const plan = signal<PlanState>({ kind: 'none' });

const WAIT_MS = 350;
let running = new AbortController();

async function ask(body: unknown): Promise<void> {
    const mine = (running = new AbortController());
    try {
        plan.value = { kind: 'plan', plan: await post<Plan>('/api/v1/plan', body, mine.signal) };
        planErrors.value = {};
    } catch (e) {
        if (isAbort(e))
            return;
        plan.value = { kind: 'refused', message: messageOf(e) };
        planErrors.value = e instanceof ApiError && e.param ? { [e.param]: e.message } : {};
    }
}

export function startPlan(): void {
    let timer = 0;
    let lastBody = '';
    effect(() => {
        const body = request.value;
        const isWrong = Object.keys(errorsOf(params.value, values.value)).length > 0;
        const text = body && !isWrong ? JSON.stringify(body) : '';
        if (text === lastBody)
            return;
        lastBody = text;
        clearTimeout(timer);
        running.abort();
        const before = plan.peek();
        if (!text) {
            plan.value = { kind: 'none' };
            return;
        }
        plan.value = {
            kind: 'asking', last: before.kind === 'plan' ? before.plan : before.kind === 'asking' ? before.last : null,
        };
        timer = setTimeout(() => void ask(body), WAIT_MS);
    });
}
