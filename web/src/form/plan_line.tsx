/* What the request would cost, beside the button. */
import { about, bytes } from '../format';
import { errors } from '../state/draft';
import { plan } from '../state/plan';
import { Icon } from '../ui/icon';
import type { Plan } from '../types';

function Cost({ plan: p, isOld }: { plan: Plan; isOld: boolean }) {
    const state = p.fits ? 'fits' : 'too-big';
    return (
        <div class={`plan ${state}${isOld ? ' old' : ''}`}>
            <Icon name={p.fits ? 'check' : 'warning'} />
            <p>
                {p.fits ? 'Fits: ' : 'Needs '}
                <strong>{bytes(p.need_bytes)}</strong> of {bytes(p.budget_bytes)}, {about(p.seconds)}
                {p.advice && <span class="advice">{p.advice}</span>}
            </p>
        </div>
    );
}

export function PlanLine() {
    const now = plan.value;
    const n = Object.keys(errors.value).length;
    if (now.kind === 'plan')
        return <Cost plan={now.plan} isOld={false} />;
    if (now.kind === 'asking' && now.last)
        return <Cost plan={now.last} isOld />;
    if (now.kind === 'refused')
        return (
            <div class="plan too-big" role="status">
                <Icon name="warning" />
                <p>{now.message}</p>
            </div>
        );
    return (
        <div class="plan old">
            <p>{n > 0 ? 'Please correct the marked fields' : 'Working out what it needs…'}</p>
        </div>
    );
}
