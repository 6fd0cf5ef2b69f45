/* Whether the page hears the server. */
import { channel } from '../state/live';
import { Button } from './button';
import { useNow } from './hooks';

export function ConnectionBanner() {
    const link = channel.value?.link.value;
    const isLost = link?.state === 'lost';
    const now = useNow(500, isLost);
    if (!isLost)
        return null;
    const left = Math.max(0, Math.ceil(link.until / 1000 - now));
    return (
        <div class="banner" role="status">
            <span>
                The server does not answer. Your jobs are safe; trying again{left > 0 ? ` in ${left} s` : ''}.
            </span>
            <Button kind="quiet" onClick={() => channel.value?.retryNow()}>Try now</Button>
        </div>
    );
}

export function ConnectionDot() {
    const state = channel.value?.link.value?.state ?? 'connecting';
    const text = { live: 'Connected', connecting: 'Connecting', lost: 'Not connected' }[state];
    return <span class={`dot ${state}`} role="img" aria-label={text} title={text} />;
}
