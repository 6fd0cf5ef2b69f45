import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from './icon';

/* What stands where nothing is yet, and what to do about it. */
export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ComponentChildren }) {
    return (
        <div class="empty">
            <Icon name={icon} size={34} />
            <h2>{title}</h2>
            {children}
        </div>
    );
}
